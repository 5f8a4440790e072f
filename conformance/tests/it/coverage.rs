//! Every operation and every rpc has a case, or is answered as absent.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use conformance::client::http2::{Ending, call};
use conformance::coverage::{ABSENT, Cases, ELSEWHERE, missing};
use conformance::target::Sidecar;
use gateway::catalog::SERVICE;
use http::Request;
use percent_encoding::percent_decode_str;

#[test]
fn every_operation_has_a_case() {
    let cases = Cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/cases"));
    let absent: BTreeSet<&str> = ABSENT.iter().map(|(method, ..)| *method).collect();
    let skipped = absent.iter().chain(ELSEWHERE).copied().collect();
    let missing = missing(&cases, &skipped);
    assert!(missing.is_empty(), "no case of conformance/golden or src/wire asks for: {missing:#?}");
    let both: Vec<&&str> = absent.iter().filter(|method| cases.rpcs.contains(**method)).collect();
    assert!(both.is_empty(), "absent, and yet there are cases: {both:?}");
}

#[test]
fn what_is_absent_is_answered_so() {
    let sidecar = Sidecar::builder("absent").start();
    let mut wrong = Vec::new();
    for (method, code, message) in ABSENT {
        let answer = ask(&sidecar, method);
        if answer != (*code, (*message).to_owned()) {
            wrong.push(format!("{method}: {answer:?}"));
        }
    }
    assert!(wrong.is_empty(), "no longer answered as absent, so these need cases: {wrong:#?}");
}

#[test]
fn shutting_down_over_grpc_ends_the_sidecar() {
    let mut sidecar = Sidecar::builder("ending").start();
    assert_eq!(ask(&sidecar, "Shutdown").0, 0);
    let patience = Instant::now() + Duration::from_secs(30);
    while sidecar.alive() {
        assert!(Instant::now() < patience, "still there:\n{}", sidecar.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The status of a call with an empty message.
fn ask(sidecar: &Sidecar, method: &str) -> (i32, String) {
    let url = format!("http://127.0.0.1:{}/{SERVICE}/{method}", sidecar.grpc);
    let request = Request::post(url).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(Bytes::from_static(&[0; 5])).expect("a request");
    let answer = call(sidecar.grpc, request, Ending::Ended, Duration::from_secs(10)).expect("an answer");
    let status = if answer.headers.contains_key("grpc-status") { &answer.headers } else { &answer.trailers };
    let text = |name: &str| status.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let words = percent_decode_str(text("grpc-message")).decode_utf8_lossy().into_owned();
    (text("grpc-status").parse().expect("a code"), words)
}
