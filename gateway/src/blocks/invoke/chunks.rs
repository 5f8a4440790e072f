//! Bodies in pieces: the payloads of `CallLocalStream`, as many messages as it takes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use proto_dapr::common::StreamPayload;
use proto_dapr::internals::{InternalInvokeRequestStream, InternalInvokeResponseStream};
use tonic::{Code, Status};

use crate::body::{Body, BodyError};
use crate::client::grpc::{Messages, status_in};

/// The field of a payload in both messages.
const PAYLOAD: u32 = 2;
/// Larger pieces are cut: the other side limits its messages.
const MAX_PIECE: usize = 256 * 1024;
/// Smaller ones are copied behind their prefix; larger ones follow it as they are.
const COPIED: usize = 4 * 1024;

/// A body as messages, behind the one that opens the stream.
pub struct Sending {
    first: Option<Bytes>,
    body: Body,
    /// Of the body, not yet sent.
    rest: Bytes,
    /// A piece whose prefix was sent.
    piece: Bytes,
    seq: u64,
    end: End,
}

/// What stands at the end.
enum End {
    /// A request just ends.
    Request,
    /// An answer ends with a status.
    Response,
    Done,
}

impl Sending {
    /// `first` is framed already.
    pub fn request(first: Bytes, body: Body) -> Self {
        Self { first: Some(first), body, rest: Bytes::new(), piece: Bytes::new(), seq: 0, end: End::Request }
    }

    /// The same, with the status OK as trailers; a body that breaks off ends with another status.
    pub fn response(first: Bytes, body: Body) -> Self {
        Self { end: End::Response, ..Self::request(first, body) }
    }

    /// The next message, or its prefix when the piece is a large one.
    fn message(&mut self) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(MAX_PIECE));
        let mut payload = BytesMut::with_capacity(16);
        if self.seq > 0 {
            encode_key(2, WireType::Varint, &mut payload);
            encode_varint(self.seq, &mut payload);
        }
        encode_key(1, WireType::LengthDelimited, &mut payload);
        encode_varint(piece.len() as u64, &mut payload);
        self.seq += 1;
        let length = payload.len() + piece.len();
        let mut message = BytesMut::with_capacity(32 + if piece.len() <= COPIED { piece.len() } else { 0 });
        message.put_u8(0);
        message.put_u32(0);
        encode_key(PAYLOAD, WireType::LengthDelimited, &mut message);
        encode_varint(length as u64, &mut message);
        message.extend_from_slice(&payload);
        let total = u32::try_from(message.len() - 5 + piece.len()).unwrap_or(u32::MAX);
        message[1..5].copy_from_slice(&total.to_be_bytes());
        if piece.len() <= COPIED {
            message.extend_from_slice(&piece);
        } else {
            self.piece = piece;
        }
        message.freeze()
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            if !this.piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.piece)))));
            }
            if !this.rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(this.message()))));
            }
            if matches!(this.end, End::Done) {
                return Poll::Ready(None);
            }
            let status = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    this.rest = frame.into_data().unwrap_or_default();
                    continue;
                }
                None => Status::ok(""),
                Some(Err(error)) if matches!(this.end, End::Request) => return Poll::Ready(Some(Err(error))),
                Some(Err(error)) => Status::unknown(error.to_string()),
            };
            let is_response = matches!(this.end, End::Response);
            this.end = End::Done;
            if is_response {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
            }
            return Poll::Ready(None);
        }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(Code::Unknown as i32));
    }
    trailers
}

/// A message of such a stream.
pub trait Piece: Message + Default {
    fn payload(&mut self) -> Option<StreamPayload>;
    /// Whether it has what only the first one may have.
    fn opens(&self) -> bool;
}

impl Piece for InternalInvokeRequestStream {
    fn payload(&mut self) -> Option<StreamPayload> {
        self.payload.take()
    }

    fn opens(&self) -> bool {
        self.request.is_some()
    }
}

impl Piece for InternalInvokeResponseStream {
    fn payload(&mut self) -> Option<StreamPayload> {
        self.payload.take()
    }

    fn opens(&self) -> bool {
        self.response.is_some()
    }
}

/// The payloads of messages as a body. Their numbers must have no gap.
pub struct Receiving<M> {
    messages: Messages,
    /// Came with the first message.
    first: Option<StreamPayload>,
    seq: u64,
    length: Option<u64>,
    /// Of an answer: its status decides whether the body is whole. Of a request there is none.
    has_status: bool,
    ended: bool,
    _message: std::marker::PhantomData<fn() -> M>,
}

impl<M: Piece> Receiving<M> {
    /// The rest of a stream whose first message has been read. `length`: of the whole body, if it was stated.
    pub fn new(messages: Messages, first: Option<StreamPayload>, length: Option<u64>, has_status: bool) -> Self {
        Self { messages, first, seq: 0, length, has_status, ended: false, _message: std::marker::PhantomData }
    }

    fn take(&mut self, payload: StreamPayload) -> Result<Option<Bytes>, BodyError> {
        if payload.seq != self.seq {
            return Err(format!("invalid sequence number received: {} (expected: {})", payload.seq, self.seq).into());
        }
        self.seq += 1;
        let data = payload.data;
        self.length = self.length.map(|left| left.saturating_sub(data.len() as u64));
        Ok((!data.is_empty()).then_some(data))
    }
}

impl<M: Piece> http_body::Body for Receiving<M> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        while !this.ended {
            let payload = match this.first.take() {
                Some(payload) => Some(payload),
                None => match ready!(this.messages.poll_next(context)) {
                    Err(status) => {
                        this.ended = true;
                        let text = crate::error::go_status(&status);
                        return Poll::Ready(Some(Err(format!("error receiving message: {text}").into())));
                    }
                    Ok(None) => {
                        this.ended = true;
                        let status = status_in(this.messages.trailers(), &HeaderMap::new());
                        if this.has_status && status.code() != Code::Ok {
                            let text = crate::error::go_status(&status);
                            return Poll::Ready(Some(Err(format!("error receiving message: {text}").into())));
                        }
                        return Poll::Ready(None);
                    }
                    Ok(Some(bytes)) => match M::decode(bytes) {
                        Ok(message) if message.opens() => {
                            this.ended = true;
                            return Poll::Ready(Some(Err("request metadata found in non-leading chunk".into())));
                        }
                        Ok(mut message) => message.payload(),
                        Err(error) => {
                            this.ended = true;
                            return Poll::Ready(Some(Err(format!("error receiving message: {error}").into())));
                        }
                    },
                },
            };
            let Some(payload) = payload else { continue };
            match this.take(payload) {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(None) => {}
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};
    use proto_dapr::internals::InternalInvokeRequest;

    use super::*;
    use crate::client::grpc::frame;

    fn body(pieces: &[usize]) -> Body {
        let frames: Vec<_> =
            pieces.iter().map(|size| Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![b'x'; *size])))).collect();
        Body::stream(StreamBody::new(tokio_stream::iter(frames)))
    }

    async fn relayed(pieces: &[usize]) -> Result<usize, String> {
        let opening = InternalInvokeRequestStream {
            request: Some(InternalInvokeRequest::default()),
            ..InternalInvokeRequestStream::default()
        };
        let sent = Body::stream(Sending::request(frame(&opening, 0).unwrap(), body(pieces)));
        let mut messages = Messages::new(sent, 0);
        let mut first: InternalInvokeRequestStream = messages.next().await.unwrap().unwrap();
        assert!(first.opens());
        let received = Receiving::<InternalInvokeRequestStream>::new(messages, first.payload(), None, false);
        received.collect().await.map(|body| body.to_bytes().len()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn pieces_arrive_whole_whatever_their_size() {
        assert_eq!(relayed(&[]).await.unwrap(), 0);
        assert_eq!(
            relayed(&[1, COPIED, COPIED + 1, MAX_PIECE, MAX_PIECE * 2 + 3]).await.unwrap(),
            1 + 2 * COPIED + 1 + 3 * MAX_PIECE + 3
        );
    }

    #[tokio::test]
    async fn a_gap_in_the_numbers_breaks_off() {
        let payload = StreamPayload { data: Bytes::from_static(b"x"), seq: 1 };
        let message = InternalInvokeRequestStream { request: None, payload: Some(payload) };
        let messages = Messages::new(Body::full(frame(&message, 0).unwrap()), 0);
        let received = Receiving::<InternalInvokeRequestStream>::new(messages, None, None, false);
        let error = received.collect().await.err().unwrap();
        assert_eq!(error.to_string(), "invalid sequence number received: 1 (expected: 0)");
    }

    #[tokio::test]
    async fn an_answer_ends_with_its_status() {
        let sent = Sending::response(Bytes::new(), body(&[3]));
        let trailers = sent.collect().await.unwrap().trailers().cloned().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
    }
}
