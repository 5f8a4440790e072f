//! Rows over HTTP/1.

use std::time::Duration;

use super::row::{Answer, Http};
use super::text;
use crate::client::http1::{End, Plan, exchange};

/// How long a server may think.
const PATIENCE: Duration = Duration::from_secs(8);
/// Headers of answers that rows may name; others say nothing about the input.
const HEADERS: [&str; 7] = [
    "content-type",
    "connection",
    "allow",
    "upgrade",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
];

/// Sends the row's bytes.
pub(super) fn ask(port: u16, request: &Http) -> Result<Answer, String> {
    let plan = Plan { answers: (!request.to_the_end).then_some(1), half_close: request.half_close, patience: PATIENCE };
    let exchange = exchange(port, &bytes(request)?, plan).map_err(|error| error.to_string())?;
    let mut answer = Answer::default();
    let mut answers = exchange.answers.into_iter();
    if let Some(first) = answers.next() {
        answer.status = Some(first.status);
        let named = first.headers.iter().filter(|(name, _)| HEADERS.contains(&name.as_str()));
        answer.headers = named.cloned().collect();
        match serde_json::from_slice(&first.body) {
            Ok(json @ serde_json::Value::Object(_)) => answer.json = Some(json),
            _ => answer.body = Some(text::shown(&first.body)),
        }
        if request.to_the_end {
            answer.more = Some(answers.map(|further| further.status).collect());
        }
    }
    answer.end = match exchange.end {
        End::Enough => None,
        End::Closed if answer.status.is_some() && exchange.rest.is_empty() => None,
        End::Closed => Some("closed".to_owned()),
        End::Silence => Some("silent".to_owned()),
    };
    Ok(answer)
}

fn bytes(request: &Http) -> Result<Vec<u8>, String> {
    if !request.raw.is_empty() {
        return text::bytes(&request.raw);
    }
    let method = if request.method.is_empty() { "GET" } else { &request.method };
    let mut out = text::bytes(&format!("{method} {} HTTP/1.1\r\nhost: localhost\r\n", request.path))?;
    for line in &request.headers {
        out.extend(text::bytes(line)?);
        out.extend(b"\r\n");
    }
    let body = request.body.as_deref().map(text::bytes).transpose()?;
    if let Some(body) = &body {
        out.extend(format!("content-length: {}\r\n", body.len()).bytes());
    }
    if request.to_the_end {
        out.extend(b"connection: close\r\n");
    }
    out.extend(b"\r\n");
    out.extend(body.unwrap_or_default());
    Ok(out)
}
