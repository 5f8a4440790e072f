//! What counts as a good answer, over real connections.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;
use crate::bench::responder::{self, LARGE, Site};

/// Asks `count` times over one connection.
fn ask(work: &Work, target: &Target, count: u64) -> Counted {
    let work = Work { connections: 1, ..work.clone() };
    run(&work, target, &Plan { pace: Pace::Closed, duration: Duration::from_secs(20), count: Some(count) })
}

fn get() -> Work {
    Work::http1(Method::GET, "/", Bytes::new())
}

/// A server that says `answers` in turn, each to what comes in one piece, and closes the connection where told.
fn scripted(answers: &'static [(&'static str, bool)]) -> Target {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut answers = answers.iter();
        while let Ok((mut stream, _)) = listener.accept() {
            while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                let Some((answer, closes)) = answers.next() else { return };
                stream.write_all(answer.as_bytes()).unwrap();
                if *closes {
                    break;
                }
            }
        }
    });
    Target::port(port)
}

/// A server on a thread of its own.
fn serving<F: Future<Output = ()>>(serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static) -> Target {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { serve(tokio::net::TcpListener::from_std(listener).unwrap()).await });
    });
    Target::port(port)
}

#[test]
fn answers_of_every_shape_are_good_when_their_status_is() {
    let target = scripted(&[
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", false),
        ("HTTP/1.1 204 No Content\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true),
        ("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n", false),
    ]);
    let counted = ask(&get(), &target, 6);
    assert_eq!((counted.requests, counted.errors, counted.first_error), (6, 0, None));
    assert_eq!(counted.latencies.len(), 6);
}

#[test]
fn errors_are_counted_with_the_reason_of_the_first_and_refusals_apart() {
    let target = scripted(&[
        ("HTTP/1.1 500 No\r\ncontent-length: 3\r\n\r\nwhy", false),
        ("HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
    ]);
    let counted = ask(&get(), &target, 4);
    assert_eq!((counted.requests, counted.errors, counted.refused), (1, 3, 1));
    assert_eq!(counted.first_error.as_deref(), Some("500: why"));
}

#[test]
fn a_connection_that_breaks_is_an_error_and_is_made_again() {
    let target = scripted(&[
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", true),
        ("", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", true),
        ("nonsense\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nmore than that", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false),
    ]);
    let counted = ask(&get(), &target, 6);
    // The last but one was answered before the connection turned out to be of no use.
    assert_eq!((counted.requests, counted.errors), (2, 4), "{counted:?}");
    assert_eq!(counted.first_error.as_deref(), Some("the connection was closed"));
}

#[test]
fn nobody_there_is_an_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target = Target::port(listener.local_addr().unwrap().port());
    drop(listener);
    let plan = Plan { pace: Pace::Closed, duration: Duration::from_millis(30), count: None };
    let counted = run(&get(), &target, &plan);
    assert!(counted.requests == 0 && counted.errors > 0);
    assert!(counted.first_error.unwrap().contains("cannot connect"));
}

#[test]
fn large_bodies_go_both_ways_and_a_unix_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move { responder::connection(stream, &Site::default()).await });
            }
        });
    });
    let target = Target::Unix(path);
    let upload = Work::http1(Method::POST, "/upload", Bytes::from(vec![b'x'; LARGE / 10]));
    let download = Work::http1(Method::GET, "/download", Bytes::new());
    for work in [upload, download] {
        let counted = ask(&work, &target, 2);
        assert_eq!((counted.requests, counted.errors), (2, 0), "{:?}", counted.first_error);
    }
}

#[test]
fn an_open_loop_counts_a_stall_for_all_calls_that_it_delays() {
    let target = serving(|listener| async move {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = responder::connection(stream, &Site::default()).await;
    });
    let plan = Plan { pace: Pace::Open(500.0), duration: Duration::from_secs(1), count: Some(100) };
    let counted = run(&Work { connections: 1, ..get() }, &target, &plan);
    assert_eq!((counted.requests, counted.errors, counted.unbegun), (100, 0, 0), "{:?}", counted.first_error);
    // They are 2 ms apart, so that half of them have waited for 100 ms or more.
    assert!(counted.latencies.value_at_percentile(55.0) >= 90_000, "{:?}", counted.json());
    assert!(counted.elapsed >= Duration::from_millis(190), "{:?}", counted.elapsed);
}

#[test]
fn an_open_loop_keeps_to_its_rate_and_its_end() {
    let target = serving(|listener| async { _ = responder::serve(listener, Arc::new(Site::default())).await });
    let plan = Plan { pace: Pace::Open(200.0), duration: Duration::from_millis(500), count: None };
    let counted = run(&get(), &target, &plan);
    assert_eq!(counted.requests + counted.unbegun, 100, "{:?}", counted.first_error);
    assert!(counted.elapsed >= Duration::from_millis(490) && counted.unbegun < 50, "{counted:?}");
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn grpc(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let status = |headers: &mut HeaderMap, code: &'static str| {
        headers.insert("grpc-status", HeaderValue::from_static(code));
        headers.insert("grpc-message", HeaderValue::from_static("why not"));
    };
    let trailers = |code: &'static str| {
        let mut trailers = HeaderMap::new();
        status(&mut trailers, code);
        Full::new(body.clone()).with_trailers(async move { Some(Ok(trailers)) }).boxed()
    };
    let mut answer = Response::new(Full::new(Bytes::new()).boxed());
    match path.as_str() {
        "/good" => *answer.body_mut() = trailers("0"),
        "/busy" => *answer.body_mut() = trailers("8"),
        "/trailers" => *answer.body_mut() = trailers("14"),
        "/trailers-only" => status(answer.headers_mut(), "5"),
        "/none" => *answer.body_mut() = Full::new(body).boxed(),
        _ => *answer.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(answer)
}

/// Windows are small, so that they must be opened again.
fn grpc_server() -> Target {
    serving(|listener| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(20_000).initial_connection_window_size(70_000);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(grpc)));
        }
    })
}

#[test]
fn a_call_is_good_when_its_grpc_status_is_0() {
    let target = grpc_server();
    let message = vec![b'x'; 300_000];
    let counted = ask(&Work::grpc_encoded("/good", &message), &target, 30);
    assert_eq!((counted.requests, counted.errors, counted.messages), (30, 0, 30), "{:?}", counted.first_error);
    for (path, error, refused) in [
        ("/trailers", "gRPC status 14: why not", 0),
        ("/trailers-only", "gRPC status 5: why not", 0),
        ("/busy", "gRPC status 8: why not", 5),
        ("/none", "an answer without grpc-status", 0),
        ("/else", "404: ", 0),
    ] {
        let counted = ask(&Work::grpc_encoded(path, b"hello"), &target, 5);
        assert_eq!((counted.requests, counted.errors, counted.refused), (0, 5, refused), "{path}");
        assert_eq!(counted.first_error.as_deref(), Some(error));
    }
}

#[test]
fn a_server_that_speaks_no_http2_is_an_error() {
    let target = scripted(&[("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", true)]);
    let counted = ask(&Work { streams: 1, ..Work::grpc_encoded("/good", b"") }, &target, 1);
    assert_eq!((counted.requests, counted.errors), (0, 1));
    assert!(counted.first_error.unwrap().contains("no HTTP/2"));
}
