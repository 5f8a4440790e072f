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
    // The front has refused a deadline that is none.
    let deadline = timeout(&headers).ok().flatten();
    within(deadline, answer_one(context, headers, body, limit, answer)).await
}

/// Runs `answering` until it ends, or the deadline that the call has.
pub async fn within(deadline: Option<Duration>, answering: impl Future<Output = Response<Body>>) -> Response<Body> {
    let over = || frame::status(&Status::deadline_exceeded("context deadline exceeded"));
    match deadline {
        None => answering.await,
        Some(Duration::ZERO) => over(),
        Some(deadline) => tokio::time::timeout(deadline, answering).await.unwrap_or_else(|_| over()),
    }
}

async fn answer_one<Request, Reply, Answer, Running>(
    context: Context,
    headers: HeaderMap,
    body: Body,
    limit: usize,
    answer: Answer,
) -> Response<Body>
where
    Request: Message + Default,
    Reply: Message,
    Answer: FnOnce(Context, Request) -> Running + Send,
    Running: Future<Output = Result<(Reply, HeaderMap), ApiError>> + Send,
{
    let request = match frame::read::<Request>(&headers, body, limit).await {
        Ok(request) => request,
        Err(error) => return frame::status(&error),
    };
    let runtime = context.runtime.clone();
    let request_size = request.encoded_len() as u64;
    match answer(context.with_headers(headers), request).await {
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
///
/// # Errors
///
/// A value that is none, in Go's words.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    if text.len() < 2 {
        return Err(format!("transport: timeout string is too short: {text:?}"));
    }
    if text.len() > 9 {
        return Err(format!("transport: timeout string is too long: {text:?}"));
    }
    let (digits, unit) = text.split_at_checked(text.len() - 1).unwrap_or((&text, ""));
    let nanoseconds: u64 = match unit {
        "H" => 3_600_000_000_000,
        "M" => 60_000_000_000,
        "S" => 1_000_000_000,
        "m" => 1_000_000,
        "u" => 1000,
        "n" => 1,
        _ => return Err(format!("transport: timeout unit is not recognized: {text:?}")),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.ParseUint: parsing {digits:?}: invalid syntax"));
    }
    let number: u64 = digits.parse().unwrap_or(u64::MAX);
    Ok(Some(Duration::from_nanos(number.saturating_mul(nanoseconds))))
}
