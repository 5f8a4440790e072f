//! A sidecar that calls an application behind another: Ottavo and a real daprd in both directions, when `DAPRD_PATH`
//! gives one, else two Ottavos.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use conformance::client::http1::{Answer, Plan, exchange};
use conformance::target::{self, Sidecar};
use http::{HeaderMap, HeaderValue, Request, Response};

const PATIENCE: Duration = Duration::from_secs(40);
/// More than fits into any buffer on the way.
const LARGE: usize = 3 << 20;

#[test]
fn sidecars_of_both_kinds_call_each_other() {
    match target::daprd() {
        Some(daprd) => {
            pair("Ottavo calls daprd", target::ottavo(), daprd.clone());
            pair("daprd calls Ottavo", daprd, target::ottavo());
        }
        None => {
            println!("DAPRD_PATH gives no real daprd: two Ottavos instead");
            pair("Ottavo calls Ottavo", target::ottavo(), target::ottavo());
        }
    }
}

/// All cases with one caller and one callee.
fn pair(name: &str, caller: PathBuf, callee: PathBuf) {
    println!("== {name}");
    let (acknowledge, acknowledged) = channel();
    let http_app = http_app(acknowledged);
    let grpc_app = grpc_app();
    // Several runs at one time must not find each other's.
    let (caller_id, http_id, grpc_id) = (unique("caller"), unique("web"), unique("rpc"));
    let _http = sidecar(&callee, &http_id).app(http_app, "http").start();
    let _grpc = sidecar(&callee, &grpc_id).app(grpc_app, "grpc").start();
    let caller = sidecar(&caller, &caller_id).start();

    found(name, || {
        http(&caller, &format!("GET /v1.0/invoke/{http_id}/method/echo HTTP/1.1\r\nhost: x\r\n\r\n")).status == 200
    });
    headers_and_body(&caller, &http_id);
    error_status(&caller, &http_id);
    large_upload(&caller, &http_id);
    streamed_answer(&caller, &http_id, move || acknowledge.send(()).expect("the application waits"));

    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    found(name, || {
        tokio.block_on(rpc(caller.grpc, &grpc_id, "Unary", &[b"hello"], false)).is_ok_and(|reply| reply.code == "0")
    });
    tokio.block_on(async {
        let reply = rpc(caller.grpc, &grpc_id, "Unary", &[b"hello"], false).await.expect("a reply");
        assert_eq!((reply.body.as_slice(), reply.code.as_str()), (&b"hello"[..], "0"), "{name}: unary");
        assert_eq!(reply.echoed, "kept", "{name}: metadata there and back");
        let reply = rpc(caller.grpc, &grpc_id, "Bidi", &[b"one", b"two", b"three"], true).await.expect("a reply");
        assert_eq!((reply.body.as_slice(), reply.code.as_str()), (&b"onetwothree"[..], "0"), "{name}: both ways");
        let reply = rpc(caller.grpc, &grpc_id, "Fail", &[b"x"], false).await.expect("a reply");
        assert_eq!((reply.code.as_str(), reply.message.as_str()), ("9", "not now"), "{name}: a status");
    });
}

fn sidecar(binary: &Path, app_id: &str) -> target::Builder {
    // Both sides find each other by mDNS, under an address that both can reach.
    Sidecar::builder(app_id)
        .binary(binary)
        .environment("DAPR_HOST_IP", "127.0.0.1")
        .argument("--max-body-size")
        .argument("16Mi")
}

fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    format!("{name}-{}-{now}", std::process::id())
}

/// Waits until the callee has been found.
fn found(name: &str, mut works: impl FnMut() -> bool) {
    let start = Instant::now();
    while !works() {
        assert!(start.elapsed() < PATIENCE, "{name}: the other sidecar is not found");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn http(caller: &Sidecar, request: &str) -> Answer {
    let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
    let mut exchange = exchange(caller.http, request.as_bytes(), plan).expect("a connection");
    assert!(!exchange.answers.is_empty(), "no answer to {request}: {exchange:?}");
    exchange.answers.remove(0)
}

fn headers_and_body(caller: &Sidecar, app: &str) {
    let answer = http(
        caller,
        &format!(
            "PUT /v1.0/invoke/{app}/method/echo/a%20b?x=1&y=%C3%A4 HTTP/1.1\r\nhost: x\r\nx-custom: kept\r\n\
             content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
        ),
    );
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-answer"), Some("yes"));
    assert_eq!(answer.header("content-type"), Some("text/x-echo"));
    let text = String::from_utf8(answer.body).expect("text");
    assert!(text.starts_with("PUT /echo/a%20b?x=1&y=%C3%A4\n"), "{text}");
    assert!(text.contains("x-custom=kept\n") && text.contains("content-type=text/plain\n"), "{text}");
    assert!(text.ends_with("\nhello"), "{text}");
}

fn error_status(caller: &Sidecar, app: &str) {
    let answer = http(caller, &format!("DELETE /v1.0/invoke/{app}/method/fail HTTP/1.1\r\nhost: x\r\n\r\n"));
    assert_eq!((answer.status, answer.header("x-answer")), (418, Some("yes")));
    assert_eq!(answer.body, b"short and stout");
}

fn large_upload(caller: &Sidecar, app: &str) {
    let body = "0123456789abcdef".repeat(LARGE / 16);
    let chunks: String = body
        .as_bytes()
        .chunks(100_000)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    let head =
        format!("POST /v1.0/invoke/{app}/method/count HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    let answer = http(caller, &format!("{head}{chunks}0\r\n\r\n"));
    assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (200, LARGE.to_string().as_str()));
}

/// The second half of the answer is sent only when the first has come through.
fn streamed_answer(caller: &Sidecar, app: &str, acknowledge: impl FnOnce()) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, caller.http)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "GET /v1.0/invoke/{app}/method/stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .expect("a socket");
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains("first") {
        let length = stream.read(&mut buffer).expect("the first half comes before the second is sent");
        assert!(length > 0, "closed after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(!text.contains("second"));
    acknowledge();
    stream.read_to_string(&mut text).expect("the rest");
    assert!(text.contains("second"), "{text}");
}

/// An application over HTTP: `echo`, `fail`, `count` and `stream`.
fn http_app(acknowledged: Receiver<()>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound listener").port();
    let acknowledged = Arc::new(Mutex::new(acknowledged));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let acknowledged = acknowledged.clone();
            // A sidecar that goes away ends the connection, which ends the thread.
            std::thread::spawn(move || while serve(&stream, &acknowledged).is_some() {});
        }
    });
    port
}

fn serve(mut stream: &TcpStream, acknowledged: &Mutex<Receiver<()>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    (reader.read_line(&mut line).ok()? > 0).then_some(())?;
    let (target, _) = line.trim().rsplit_once(' ')?;
    let (mut headers, mut length, mut chunked) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => chunked = true,
            _ => {}
        }
        headers.push_str(&format!("{name}={value}\n"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    while chunked {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    let mut answer = |status: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/x-echo\r\nx-answer: yes\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).ok()
    };
    match target.split_once(' ')?.1.split(['?', '/']).nth(1)? {
        "echo" => answer("200 OK", &[format!("{target}\n{headers}").as_bytes(), &body].concat()),
        "count" => answer("200 OK", body.len().to_string().as_bytes()),
        "fail" => answer("418 I'm a teapot", b"short and stout"),
        "stream" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").ok()?;
            acknowledged.lock().ok()?.recv_timeout(PATIENCE).ok()?;
            stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").ok()
        }
        _ => answer("404 Not Found", b""),
    }
}

/// An application over gRPC: it sends back each message as it comes, or fails. Health checks and the like are answered
/// as unimplemented.
fn grpc_app() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("a bound listener").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        // Errors mean that the caller has gone.
                        tokio::spawn(async move {
                            let _ = answer_rpc(request, respond).await;
                        });
                    }
                });
            }
        });
    });
    port
}

async fn answer_rpc(
    request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut trailers = HeaderMap::new();
    let (code, message) = match request.uri().path() {
        "/mixed.Echo/Unary" | "/mixed.Echo/Bidi" => ("0", ""),
        "/mixed.Echo/Fail" => ("9", "not now"),
        _ => ("12", "unknown"),
    };
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers.insert("grpc-message", HeaderValue::from_static(message));
    let echoed = request.headers().get("x-custom").cloned().unwrap_or(HeaderValue::from_static("lost"));
    let response = Response::builder().header("content-type", "application/grpc").header("x-echoed", echoed);
    let mut sending = respond.send_response(response.body(()).expect("a response"), false)?;
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if code == "0" {
            sending.send_data(data, false)?;
        }
    }
    sending.send_trailers(trailers)
}

/// What came back of a call.
struct Reply {
    /// The messages, one behind the other.
    body: Vec<u8>,
    code: String,
    message: String,
    /// The metadata that the application sent back.
    echoed: String,
}

/// Calls `mixed.Echo` through a sidecar. `in_turns`: each message is sent when the one before has come back.
async fn rpc(port: u16, app: &str, method: &str, messages: &[&[u8]], in_turns: bool) -> Result<Reply, String> {
    let calling = async {
        let socket =
            tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
        call(socket, port, app, method, messages, in_turns).await.map_err(|error| error.to_string())
    };
    tokio::time::timeout(PATIENCE, calling).await.map_err(|_| format!("{method} does not end"))?
}

async fn call(
    socket: tokio::net::TcpStream,
    port: u16,
    app: &str,
    method: &str,
    messages: &[&[u8]],
    in_turns: bool,
) -> Result<Reply, h2::Error> {
    let (client, connection) = h2::client::handshake(socket).await?;
    tokio::spawn(connection);
    let request = Request::post(format!("http://127.0.0.1:{port}/mixed.Echo/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("dapr-app-id", app)
        .header("x-custom", "kept")
        .body(())
        .expect("a request");
    let (response, mut sending) = client.ready().await?.send_request(request, false)?;
    let mut left = messages.iter();
    let mut send = |sending: &mut h2::SendStream<Bytes>| -> Result<(), h2::Error> {
        match left.next() {
            Some(message) => {
                let length = u8::try_from(message.len()).expect("a short message");
                sending.send_data([&[0, 0, 0, 0, length], *message].concat().into(), false)
            }
            None => sending.send_data(Bytes::new(), true),
        }
    };
    send(&mut sending)?;
    if !in_turns {
        for _ in 0..messages.len() {
            send(&mut sending)?;
        }
    }
    let (parts, mut body) = response.await?.into_parts();
    let mut received = Vec::new();
    let mut messages_back = 0;
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        received.extend_from_slice(&data);
        let whole = unframed(&received).0;
        while in_turns && messages_back < whole {
            messages_back += 1;
            send(&mut sending)?;
        }
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let status = if parts.headers.contains_key("grpc-status") { &parts.headers } else { &trailers };
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    Ok(Reply {
        body: unframed(&received).1,
        code: text(status, "grpc-status"),
        message: text(status, "grpc-message"),
        echoed: text(&parts.headers, "x-echoed"),
    })
}

/// How many whole messages there are, and their bytes.
fn unframed(mut bytes: &[u8]) -> (usize, Vec<u8>) {
    let (mut count, mut out) = (0, Vec::new());
    while let [_, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(message) = rest.get(..length) else { break };
        out.extend_from_slice(message);
        count += 1;
        bytes = &rest[length..];
    }
    (count, out)
}
