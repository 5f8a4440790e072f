//! A unary call: decode, call, encode.

use std::future::Future;
use std::time::Duration;

use http::{HeaderMap, Response};
use prost::Message;
use tonic::Status;

use super::{Call, Context, frame, status};
use crate::body::Body;
use crate::error::ApiError;

/// Runs `answer` with the decoded request and encodes what it returns. The caller's deadline (`grpc-timeout`) ends it.
pub async fn unary<Request, Reply, Answer, Running>(call: Call, answer: Answer) -> Response<Body>
where
    Request: Message + Default,
    Reply: Message,
    Answer: FnOnce(Context, Request) -> Running + Send,
    Running: Future<Output = Result<Reply, ApiError>> + Send,
{
    unary_with_headers(call, |context, request| async move { Ok((answer(context, request).await?, HeaderMap::new())) })
        .await
}

/// Like [`unary`], for answers that bring headers.
pub async fn unary_with_headers<Request, Reply, Answer, Running>(call: Call, answer: Answer) -> Response<Body>
where
    Request: Message + Default,
    Reply: Message,
    Answer: FnOnce(Context, Request) -> Running + Send,
    Running: Future<Output = Result<(Reply, HeaderMap), ApiError>> + Send,
{
    let Call { context, headers, body, limit } = call;
    let timeout = timeout(&headers);
    let request = match frame::read::<Request>(&headers, body, limit).await {
        Ok(request) => request,
        Err(error) => return frame::status(&error),
    };
    let runtime = context.runtime.clone();
    let request_size = request.encoded_len() as u64;
    let running = answer(context.with_headers(headers), request);
    let outcome = match timeout {
        None => running.await,
        Some(timeout) => match tokio::time::timeout(timeout, running).await {
            Ok(outcome) => outcome,
            Err(_) => return frame::status(&Status::deadline_exceeded("context deadline exceeded")),
        },
    };
    match outcome {
        Ok((reply, headers)) => {
            let mut response = frame::reply(&reply, headers, limit);
            let sizes = frame::Sizes { request: request_size, response: reply.encoded_len() as u64 };
            response.extensions_mut().insert(sizes);
            response
        }
        Err(error) => {
            runtime.count_error(&error);
            let mut response = frame::status(&status::status(&error));
            response.extensions_mut().insert(frame::Sizes { request: request_size, response: 0 });
            response
        }
    }
}

/// `grpc-timeout`: up to 8 digits and a unit.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
