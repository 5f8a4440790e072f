//! Unpacking of answers that are gzip although nobody has asked for it, as Go's client does.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body::Frame;

use crate::body::{Body, BodyError};

/// The unpacked body. It breaks off where the packed one is broken.
pub fn unpacked(body: Body) -> Body {
    Body::stream(Unpacked { body, decoder: Some(MultiGzDecoder::new(Vec::new())) })
}

struct Unpacked {
    body: Body,
    /// `None` when the body has ended.
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
}

impl http_body::Body for Unpacked {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
            if !decoder.get_ref().is_empty() {
                let bytes = std::mem::take(decoder.get_mut());
                return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
            }
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    self.decoder = None;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) => {
                    let finished = self.decoder.take().map(MultiGzDecoder::finish);
                    return Poll::Ready(match finished {
                        Some(Ok(rest)) if !rest.is_empty() => Some(Ok(Frame::data(rest.into()))),
                        Some(Err(error)) => Some(Err(error.into())),
                        _ => None,
                    });
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if let Some(decoder) = &mut self.decoder
                && let Err(error) = decoder.write_all(&data)
            {
                self.decoder = None;
                return Poll::Ready(Some(Err(error.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn packed_bodies_are_unpacked_however_they_are_cut() {
        let packed = STANDARD.decode("H4sIAAAAAAAAA8tIzcnJBwCGphA2BQAAAA==").unwrap();
        for size in [1, 3, 100] {
            let frames: Vec<_> = packed
                .chunks(size)
                .map(|chunk| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(chunk))))
                .collect();
            let body = unpacked(Body::stream(StreamBody::new(tokio_stream::iter(frames))));
            assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        }
    }

    #[tokio::test]
    async fn what_is_not_packed_breaks_off() {
        assert!(unpacked(Body::full("plain")).collect().await.is_err());
    }
}
