//! Bodies, headers and properties.

use wasm_host::abi::proxy_wasm::{Action, Direction};

use super::guest::{OUT, filter, load, logs, on_headers, opened, pairs, request_headers};

/// What the guest logs when it gets the request body `from caller` and runs this code, and the body behind it.
async fn with_body(code: &str) -> (Vec<String>, String) {
    let code = format!(
        r#"(func (export "proxy_on_request_body") (param $context i32) (param $size i32) (param $end i32) (result i32)
            {code} (i32.const 0))"#
    );
    let plugin = load(&filter(&code)).await.unwrap_or_else(|error| panic!("{error}\n{code}"));
    let mut session = opened(&plugin).await;
    session.body(Direction::Request, b"from caller", true).await.unwrap();
    let body = String::from_utf8(session.take_body(Direction::Request).unwrap()).unwrap();
    session.close().await.unwrap();
    (plugin.logged(), body)
}

#[tokio::test]
async fn parts_of_a_body_are_given() {
    let get = |buffer: &str, start: &str, most: &str| {
        format!(
            "(call $show (call $proxy_get_buffer_bytes (i32.const {buffer}) (i32.const {start}) (i32.const {most}) {OUT}))"
        )
    };
    let code = [get("0", "0", "4"), get("0", "5", "100"), get("0", "11", "1"), get("0", "99", "1")].concat();
    assert_eq!(with_body(&code).await.0, ["from", "caller", "", ""]);
    let code = [get("0", "2", "-1"), get("9", "0", "1"), get("4", "0", "1"), get("5", "0", "1"), get("2", "0", "1")];
    assert_eq!(with_body(&code.concat()).await.0, ["02", "02", "01", "01", "01"]);
    let wild = "(call $status (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 4) (i32.const -4) (i32.const 20)))";
    assert_eq!(with_body(wild).await.0, ["06"]);
}

#[tokio::test]
async fn the_length_of_a_buffer_is_told() {
    let code = "(call $number (call $proxy_get_buffer_status (i32.const 0) (i32.const 24) (i32.const 28)))
        (call $number (call $proxy_get_buffer_status (i32.const 9) (i32.const 24) (i32.const 28)))
        (call $number (call $proxy_get_buffer_status (i32.const 7) (i32.const 24) (i32.const 28)))
        (call $number (call $proxy_get_buffer_status (i32.const 0) (i32.const -1) (i32.const 28)))";
    assert_eq!(with_body(code).await.0, ["11", "02", "01", "06"]);
}

#[tokio::test]
async fn bodies_can_be_replaced_in_part_before_and_behind() {
    let set = |start: &str, size: &str| {
        format!(
            "(call $status (call $proxy_set_buffer_bytes (i32.const 0) (i32.const {start}) (i32.const {size}) 'new'))"
        )
    };
    assert_eq!(with_body(&set("0", "11")).await, (vec!["00".into()], "new".into()));
    assert_eq!(with_body(&set("0", "4")).await.1, "new caller");
    assert_eq!(with_body(&set("0", "0")).await.1, "newfrom caller");
    assert_eq!(with_body(&set("11", "0")).await.1, "from callernew");
    assert_eq!(with_body(&set("99", "99")).await.1, "from callernew");
    assert_eq!(with_body(&set("5", "-1")).await.1, "from new");
    for (code, status) in [
        ("(i32.const 9) (i32.const 0) (i32.const 0) 'new'", "02"),
        ("(i32.const 7) (i32.const 0) (i32.const 0) 'new'", "01"),
        ("(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 70000)", "02"),
        ("(i32.const 0) (i32.const 0) (i32.const 0) (i32.const 131071) (i32.const 2)", "06"),
    ] {
        let code = format!("(call $status (call $proxy_set_buffer_bytes {code}))");
        assert_eq!(with_body(&code).await, (vec![status.to_owned()], "from caller".into()), "{code}");
    }
}

#[tokio::test]
async fn a_function_answers_by_writing_the_response_body() {
    let code = "(call $status (call $proxy_set_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 0) 'answer'))";
    let plugin = load(&on_headers(code)).await.unwrap();
    let mut session = opened(&plugin).await;
    assert_eq!(session.take_body(Direction::Response).unwrap(), b"answer");
    session.close().await.unwrap();
    assert_eq!(plugin.logged(), ["00"]);
}

#[tokio::test]
async fn a_body_that_is_held_back_grows_to_its_bound() {
    let code = r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
        (call $status (local.get 1)) (i32.const 1))"#;
    let plugin = load(&filter(code)).await.unwrap();
    let mut session = opened(&plugin).await;
    for _ in 0..2 {
        assert_eq!(session.body(Direction::Request, b"four", false).await.unwrap(), Action::Pause);
    }
    assert_eq!(plugin.logged(), ["04", "08"]);
    assert!(session.body(Direction::Request, &[0; 70_000], true).await.unwrap_err().to_string().contains("65536"));
}

fn value(map: &str, key: &str) -> String {
    format!("(call $show (call $proxy_get_header_map_value (i32.const {map}) '{key}' {OUT}))")
}

#[tokio::test]
async fn header_values_are_given_and_several_are_joined() {
    let code = [value("0", ":path"), value("0", "TWO"), value("0", "three"), value("8", "a"), value("2", "a")].concat();
    assert_eq!(logs(&code).await, ["/path?query=1", "1,2", "01", "02", "01"]);
    let wild = "(call $status (call $proxy_get_header_map_value (i32.const 0) (i32.const -1) (i32.const 9) (i32.const 16) (i32.const 20)))";
    assert_eq!(logs(wild).await, ["06"]);
}

/// The request headers behind a guest that runs this code.
async fn headers(code: &str) -> (Vec<String>, Vec<(String, String)>) {
    let plugin = load(&on_headers(code)).await.unwrap_or_else(|error| panic!("{error}\n{code}"));
    let mut session = opened(&plugin).await;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let headers = session.headers_of(Direction::Request).unwrap();
    let headers = headers.into_iter().filter(|(key, _)| key[0] != b':').map(|(key, value)| (text(key), text(value)));
    let headers = headers.collect();
    session.close().await.unwrap();
    (plugin.logged(), headers)
}

fn list(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn headers_can_be_added_replaced_and_removed() {
    let ok = vec!["00".to_owned()];
    let code = "(call $status (call $proxy_add_header_map_value (i32.const 0) 'Two' '3'))";
    assert_eq!(headers(code).await, (ok.clone(), list(&[("two", "1"), ("two", "2"), ("two", "3")])));
    let code = "(call $status (call $proxy_replace_header_map_value (i32.const 0) 'Two' '3'))";
    assert_eq!(headers(code).await, (ok.clone(), list(&[("two", "3")])));
    let code = "(call $status (call $proxy_replace_header_map_value (i32.const 0) 'new' ''))";
    assert_eq!(headers(code).await.1, list(&[("two", "1"), ("two", "2"), ("new", "")]));
    for name in ["TWO", "none"] {
        let code = format!("(call $status (call $proxy_remove_header_map_value (i32.const 0) '{name}'))");
        let left = if name == "none" { list(&[("two", "1"), ("two", "2")]) } else { Vec::new() };
        assert_eq!(headers(&code).await, (ok.clone(), left));
    }
}

#[tokio::test]
async fn maps_that_cannot_be_changed_are_a_status() {
    for (map, status) in [("4", "02"), ("6", "02"), ("9", "02")] {
        for code in [
            format!("$proxy_add_header_map_value (i32.const {map}) 'a' 'b'"),
            format!("$proxy_replace_header_map_value (i32.const {map}) 'a' 'b'"),
            format!("$proxy_remove_header_map_value (i32.const {map}) 'a'"),
            format!("$proxy_set_header_map_pairs (i32.const {map}) ''"),
        ] {
            assert_eq!(logs(&format!("(call $status (call {code}))")).await, [status], "{code}");
        }
    }
    let wild = "(call $status (call $proxy_add_header_map_value (i32.const 0) 'a' (i32.const -9) (i32.const 9)))";
    assert_eq!(logs(wild).await, ["06"]);
}

#[tokio::test]
async fn whole_maps_are_exchanged() {
    // Two pairs: a=b and C=d.
    let map = r"\02\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00\01\00\00\00a\00b\00C\00d\00";
    let code = format!("(call $status (call $proxy_set_header_map_pairs (i32.const 0) '{map}'))");
    assert_eq!(headers(&code).await, (vec!["00".into()], list(&[("a", "b"), ("c", "d")])));
    let sizes = format!(
        "(call $status (call $proxy_set_header_map_pairs (i32.const 0) '{map}'))
         (call $number (call $proxy_get_header_map_size (i32.const 0) (i32.const 24)))
         (call $status (call $proxy_get_header_map_pairs (i32.const 0) {OUT}))
         (call $status (i32.load (i32.const 20)))
         (call $status (i32.load (i32.load (i32.const 16))))"
    );
    assert_eq!(logs(&sizes).await, ["00", "28", "00", "28", "02"]);
    for (code, status) in [
        ("(call $proxy_set_header_map_pairs (i32.const 0) '\\02\\00\\00')", "02"),
        ("(call $proxy_get_header_map_pairs (i32.const 9) (i32.const 16) (i32.const 20))", "02"),
        ("(call $proxy_get_header_map_size (i32.const 9) (i32.const 24))", "02"),
        ("(call $proxy_get_header_map_size (i32.const 0) (i32.const -1))", "06"),
        ("(call $proxy_get_header_map_size (i32.const 6) (i32.const 24))", "00"),
    ] {
        assert_eq!(logs(&format!("(call $status {code})")).await, [status], "{code}");
    }
}

#[tokio::test]
async fn properties_of_stream_host_and_guest() {
    let get = |path: &str| format!("(call $show (call $proxy_get_property '{path}' {OUT}))");
    for (path, value) in [
        ("plugin_name", "plugin"),
        ("plugin_root_id", "root"),
        ("plugin_vm_id", "vm"),
        (r"request\00method", "GET"),
        (r"request\00path", "/path?query=1"),
        (r"request\00url_path", "/path"),
        (r"request\00query", "query=1"),
        (r"request\00host\00", "here"),
        (r"request\00headers\00two", "1"),
        (r"dapr\00app_id", "shop"),
        ("unknown", "01"),
        (r"response\00code", "01"),
        ("", "01"),
    ] {
        assert_eq!(logs(&get(path)).await, [value], "{path}");
    }
    let code = format!("(call $status (call $proxy_set_property 'own' 'value')) {}", get("own"));
    assert_eq!(logs(&code).await, ["00", "value"]);
    assert_eq!(logs("(call $status (call $proxy_set_property 'own' (i32.const -9) (i32.const 10)))").await, ["06"]);
}

#[tokio::test]
async fn streams_are_continued_and_closed_by_the_guest() {
    for kind in 0..4 {
        let code = format!("(call $status (call $proxy_continue_stream (i32.const {kind})))");
        assert_eq!(logs(&code).await, ["00"]);
    }
    assert_eq!(logs("(call $status (call $proxy_continue_stream (i32.const 4)))").await, ["02"]);
    assert_eq!(logs("(call $status (call $proxy_close_stream (i32.const 4)))").await, ["02"]);
    let plugin = load(&on_headers("(call $status (call $proxy_close_stream (i32.const 0)))")).await.unwrap();
    let mut session = opened(&plugin).await;
    assert!(session.is_closed().unwrap());
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_guest_answers_in_place_of_what_is_behind_it() {
    let send = |status: &str| {
        format!(
            r"(call $status (call $proxy_send_local_response (i32.const {status}) 'why' 'no entry'
                '\01\00\00\00\01\00\00\00\01\00\00\00a\00b\00' (i32.const -1)))"
        )
    };
    let plugin = load(&on_headers(&[send("403"), send("200"), send("7")].concat())).await.unwrap();
    let mut session = opened(&plugin).await;
    let response = session.local_response().unwrap().unwrap();
    assert_eq!((response.status, response.details.as_str(), response.grpc_status), (403, "why", None));
    assert_eq!((response.body.as_slice(), response.headers), (&b"no entry"[..], pairs(&[("a", "b")])));
    session.close().await.unwrap();
    assert_eq!(plugin.logged(), ["00", "02", "02"], "one answer is enough, and 7 is no status");

    let code = format!(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) {} (i32.const 0))"#,
        send("500")
    );
    let plugin = load(&filter(&code)).await.unwrap();
    let mut session = opened(&plugin).await;
    session.answered().unwrap();
    session.headers(Direction::Response, request_headers(), true).await.unwrap();
    assert_eq!((session.local_response().unwrap(), plugin.logged()), (None, vec!["02".to_owned()]));
    session.close().await.unwrap();
}
