//! Each path of a request reaches for something else; the answer is what came back, as text.

use std::io::{Read, Write};

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};

wit_bindgen::generate!({
    path: "../../../wit",
    inline: "
        package test:everything;
        world everything {
            include ottavo:host/imports;
            export wasi:messaging/incoming-handler@0.2.0-draft;
        }
    ",
    world: "test:everything/everything",
    generate_all,
});

use ottavo::runtime::{bindings, invocation, publish, secrets, state};
use wasi::config0_2_0_rc_1::store as config;
use wasi::keyvalue::{atomics, batch, store};
use wasi::messaging::{producer, types as messaging};

struct Everything;

wasip2::http::proxy::export!(Everything);
export!(Everything);

impl wasip2::exports::http::incoming_handler::Guest for Everything {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        if parts == ["echo"] {
            return echo(&request, out);
        }
        let (status, text) = match reach(&parts, &request) {
            Ok(text) => (200, text),
            Err(text) => (500, text),
        };
        let response = OutgoingResponse::new(Fields::new());
        response.set_status_code(status).expect("a status");
        let body = response.body().expect("a body");
        ResponseOutparam::set(out, Ok(response));
        body.write().expect("a stream").write_all(text.as_bytes()).expect("written");
        OutgoingBody::finish(body, None).expect("the end");
    }
}

impl exports::wasi::messaging::incoming_handler::Guest for Everything {
    fn handle(message: messaging::Message) -> Result<(), messaging::Error> {
        let text = String::from_utf8_lossy(&message.data()).into_owned();
        println!("{} {}: {text}", message.topic().unwrap_or_default(), message.content_type().unwrap_or_default());
        match text.as_str() {
            "drop" => Err(messaging::Error::PermissionDenied("of no use".into())),
            "retry" => Err(messaging::Error::Other("not now".into())),
            "trap" => panic!("a message too much"),
            _ => Ok(()),
        }
    }
}

fn debug<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, E>) -> Result<String, String> {
    match result {
        Ok(value) => Ok(format!("{value:?}")),
        Err(error) => Err(format!("{error:?}")),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn reach(parts: &[&str], request: &IncomingRequest) -> Result<String, String> {
    let bucket = |name: &str| store::open(name).map_err(|error| format!("{error:?}"));
    match parts {
        ["get", name, key] => debug(bucket(name)?.get(key).map(|value| value.map(|value| text(&value)))),
        ["set", name, key, value] => debug(bucket(name)?.set(key, value.as_bytes())),
        ["delete", name, key] => debug(bucket(name)?.delete(key)),
        ["exists", name, key] => debug(bucket(name)?.exists(key)),
        ["list", name] => debug(bucket(name)?.list_keys(None).map(|answer| answer.keys)),
        ["increment", name, key, by] => debug(atomics::increment(&bucket(name)?, key, by.parse().expect("a number"))),
        ["many", name] => {
            let bucket = bucket(name)?;
            let pairs = [("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())];
            debug(batch::set_many(&bucket, &pairs))?;
            debug(batch::delete_many(&bucket, &["b".to_owned()]))?;
            debug(batch::get_many(&bucket, &["a".to_owned(), "b".to_owned()]))
        }
        ["swap", name, key] => swap(&bucket(name)?, key),
        ["config", key] => debug(config::get(key)),
        ["configs"] => debug(config::get_all()),
        ["publish", pubsub, topic, data] => {
            let client = messaging::Client::connect(pubsub).map_err(|error| format!("{error:?}"))?;
            let message = messaging::Message::new(data.as_bytes());
            message.set_content_type("text/plain");
            message.add_metadata("ttlInSeconds", "5");
            debug(producer::send(&client, topic, message))
        }
        ["event", pubsub, topic, data] => debug(publish::publish(&publish::Event {
            pubsub: (*pubsub).into(),
            topic: (*topic).into(),
            data: data.as_bytes().to_vec(),
            content_type: None,
            metadata: vec![("rawPayload".into(), "true".into())],
        })),
        ["item", name, key] => debug(state::get(name, key).map(|item| item.map(|item| (text(&item.value), item.etag)))),
        ["transact", name] => debug(state::transact(
            name,
            &[
                state::Change::Set(state::Set { key: "x".into(), value: b"1".to_vec(), etag: None, metadata: vec![] }),
                state::Change::Delete(state::Delete { key: "y".into(), etag: Some("9".into()), metadata: vec![] }),
            ],
        )),
        ["secret", name, key] => debug(
            secrets::get(name, key)
                .map(|found| found.into_iter().map(|(key, secret)| (key, secret.reveal())).collect::<Vec<_>>()),
        ),
        ["invoke", id, method] => {
            let request = invocation::Request {
                verb: "POST".into(),
                path: (*method).into(),
                headers: vec![("x-from".into(), b"guest".to_vec())],
                body: b"ping".to_vec(),
            };
            debug(invocation::invoke(id, &request).map(|answer| (answer.status, text(&answer.body))))
        }
        ["bind", name, operation] => debug(
            bindings::invoke(name, operation, b"data", &[("k".into(), "v".into())]).map(|reply| text(&reply.data)),
        ),
        ["fetch", authority] => fetch(authority, None),
        ["call", id] => fetch("localhost", Some(id)),
        ["print"] => {
            println!("to the \u{1b}[31mlog");
            eprint!("without an end");
            Ok(String::new())
        }
        ["file"] => debug(std::fs::read_to_string("/etc/hostname")),
        ["connect"] => debug(std::net::TcpStream::connect("127.0.0.1:9")),
        ["environment"] => debug::<_, ()>(Ok(std::env::vars().collect::<Vec<_>>())),
        ["clock"] => {
            debug(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|since| since.as_secs()))
        }
        ["random"] => debug::<_, ()>(Ok(wasip2::random::random::get_random_u64())),
        ["header", name] => {
            debug::<_, ()>(Ok(request.headers().get(name).iter().map(|value| text(value)).collect::<Vec<_>>()))
        }
        ["panic"] => panic!("as told"),
        ["exit"] => std::process::exit(3),
        _ => Err("no such path".into()),
    }
}

/// Swaps once with a handle that is stale, and again with the one that it gets instead.
fn swap(bucket: &store::Bucket, key: &str) -> Result<String, String> {
    let stale = atomics::Cas::new(bucket, key).map_err(|error| format!("{error:?}"))?;
    debug(bucket.set(key, b"of another"))?;
    match atomics::swap(stale, b"first") {
        Err(atomics::CasError::CasFailed(newer)) => {
            let current = newer.current().map_err(|error| format!("{error:?}"))?.unwrap_or_default();
            match atomics::swap(newer, b"second") {
                Ok(()) => Ok(format!("after {}", text(&current))),
                Err(_) => Err("the second swap failed".into()),
            }
        }
        Err(atomics::CasError::StoreError(error)) => Err(format!("{error:?}")),
        Ok(()) => Err("a stale handle was good".into()),
    }
}

fn fetch(authority: &str, id: Option<&str>) -> Result<String, String> {
    let headers = Fields::new();
    if let Some(id) = id {
        headers.append("dapr-app-id", id.as_bytes()).expect("a header");
    }
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some("/path?q=1")).expect("a path");
    let body = request.body().expect("a body");
    let answer = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    OutgoingBody::finish(body, None).expect("the end");
    answer.subscribe().block();
    let answer = answer.get().expect("it is there").expect("for the first time");
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    let mut text = String::new();
    let body = answer.consume().expect("a body");
    body.stream().expect("a stream").read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(format!("{} {text}", answer.status()))
}

fn echo(request: &IncomingRequest, out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::new());
    let body = response.body().expect("a body");
    ResponseOutparam::set(out, Ok(response));
    let input: IncomingBody = request.consume().expect("a body");
    {
        let (mut from, mut to) = (input.stream().expect("a stream"), body.write().expect("a stream"));
        std::io::copy(&mut from, &mut to).expect("copied");
    }
    OutgoingBody::finish(body, None).expect("the end");
}
