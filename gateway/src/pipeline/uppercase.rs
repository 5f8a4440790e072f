//! `middleware.http.uppercase`: bodies in upper case. Dapr's own middleware for trying pipelines out.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Properties;
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body::Frame;

use super::{Middleware, Next};
use crate::body::{Body, BodyError};

pub struct Uppercase {
    request: bool,
    response: bool,
}

impl Uppercase {
    /// `direction`: `request` (also for anything unknown), `response` or `both`.
    pub fn new(properties: &Properties) -> Self {
        match properties.get(&["direction"]).unwrap_or_default().to_ascii_lowercase().as_str() {
            "response" => Self { request: false, response: true },
            "both" => Self { request: true, response: true },
            _ => Self { request: true, response: false },
        }
    }
}

#[async_trait]
impl Middleware for Uppercase {
    async fn handle(&self, mut request: Request<Body>, next: Next<'_>) -> Response<Body> {
        if self.request && !http_body::Body::is_end_stream(request.body()) {
            // The length in bytes may change with the letters.
            request.headers_mut().remove(CONTENT_LENGTH);
            request = request.map(uppercase);
        }
        let mut response = next.run(request).await;
        if self.response && !http_body::Body::is_end_stream(response.body()) {
            response.headers_mut().remove(CONTENT_LENGTH);
            response = response.map(uppercase);
        }
        response
    }
}

fn uppercase(body: Body) -> Body {
    Body::stream(UppercaseBody { body, carried: Vec::new() })
}

struct UppercaseBody {
    body: Body,
    /// The beginning of a letter whose rest comes with the next frame.
    carried: Vec<u8>,
}

impl http_body::Body for UppercaseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let frame = match frame.into_data() {
                    Ok(data) => {
                        let mut bytes = std::mem::take(&mut self.carried);
                        bytes.extend_from_slice(&data);
                        let (text, rest) = letters(&bytes);
                        self.carried = rest.to_vec();
                        Frame::data(Bytes::from(text))
                    }
                    Err(frame) => frame,
                };
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) if !self.carried.is_empty() => {
                self.carried.clear();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static("\u{fffd}".as_bytes())))))
            }
            other => other,
        }
    }
}

/// The text in upper case, and the cut-off letter at its end. What is no UTF-8 becomes U+FFFD, as in Go.
fn letters(bytes: &[u8]) -> (String, &[u8]) {
    let mut text = String::with_capacity(bytes.len());
    let mut rest: &[u8] = &[];
    for chunk in bytes.utf8_chunks() {
        text.extend(chunk.valid().chars().map(upper));
        let invalid = chunk.invalid();
        if invalid.is_empty() {
            continue;
        }
        if std::ptr::eq(invalid.as_ptr_range().end, bytes.as_ptr_range().end) && is_cut_off(invalid) {
            rest = invalid;
        } else {
            text.push('\u{fffd}');
        }
    }
    (text, rest)
}

/// Whether a longer sequence may begin with these bytes.
fn is_cut_off(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Letters whose upper case is more than one letter stay as they are, as in Go.
fn upper(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn letters_cut_by_frames_are_put_together() {
        let text = "abc é ß 日本";
        for size in 1..6 {
            let frames: Vec<_> = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(chunk))))
                .collect();
            let body = uppercase(Body::stream(StreamBody::new(tokio_stream::iter(frames))));
            assert_eq!(body.collect().await.unwrap().to_bytes(), "ABC É ß 日本");
        }
    }

    #[tokio::test]
    async fn broken_letters_are_replaced() {
        let body = uppercase(Body::full(vec![b'a', 0xff, b'b', 0xc3]));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "A\u{fffd}B\u{fffd}");
    }
}
