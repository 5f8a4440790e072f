//! One request on its way through a guest, and the rules of what may be done when.

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request, response};

use crate::body::{Body, Reader};
use crate::error::{Error, Result};

/// What a guest has asked for; bits as in the ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(pub u32);

impl Features {
    pub const BUFFER_REQUEST: Self = Self(1);
    pub const BUFFER_RESPONSE: Self = Self(2);
    pub const TRAILERS: Self = Self(4);
    /// What this host knows.
    const ALL: u32 = 7;

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn with(self, bits: u32) -> Self {
        Self(self.0 | (bits & Self::ALL))
    }
}

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    BeforeNext,
    AfterNext,
}

pub(super) struct Exchange {
    pub phase: Phase,
    pub features: Features,
    pub source: String,
    pub request: request::Parts,
    pub request_trailers: HeaderMap,
    /// The body as it came. `None` once the next handler has it.
    pub incoming: Option<Reader>,
    /// What was kept of the incoming body, and how much of it the guest has read.
    pub request_kept: Option<(Bytes, usize)>,
    /// What the guest wrote in its place.
    pub request_written: Option<BytesMut>,
    pub response: response::Parts,
    pub response_trailers: HeaderMap,
    /// Whether the guest has set the status.
    pub has_status: bool,
    /// What the guest wrote; with `BUFFER_RESPONSE` behind the next handler, what that wrote too.
    pub response_body: BytesMut,
    /// How much of it the guest has read.
    pub response_read: usize,
    /// Whether the guest has begun to write behind the next handler.
    pub is_rewritten: bool,
    /// The next handler's body when it is not kept.
    outgoing: Option<Body>,
    body_limit: usize,
}

impl Exchange {
    pub fn new(request: Request<Body>, source: String, features: Features, body_limit: usize) -> Self {
        let (request, body) = request.into_parts();
        let (response, ()) = Response::new(()).into_parts();
        Self {
            phase: Phase::BeforeNext,
            features,
            source,
            request,
            request_trailers: HeaderMap::new(),
            incoming: Some(Reader::new(body)),
            request_kept: None,
            request_written: None,
            response,
            response_trailers: HeaderMap::new(),
            has_status: false,
            response_body: BytesMut::new(),
            response_read: 0,
            is_rewritten: false,
            outgoing: None,
            body_limit,
        }
    }

    /// # Errors
    /// The next handler has been called: the request cannot be changed any more.
    pub fn before_next(&self, operation: &str, what: &str) -> Result<()> {
        match self.phase {
            Phase::BeforeNext => Ok(()),
            Phase::AfterNext => Err(Error::misuse(format!("can't {operation} {what} after next handler"))),
        }
    }

    /// # Errors
    /// The next handler has been called, and `feature` is not on.
    pub fn before_next_or(&self, feature: Features, operation: &str, what: &str) -> Result<()> {
        if self.phase == Phase::BeforeNext || self.features.has(feature) {
            return Ok(());
        }
        let name = if feature == Features::BUFFER_REQUEST { "buffer_request" } else { "buffer_response" };
        Err(Error::misuse(format!("can't {operation} {what} after next handler unless {name} is enabled")))
    }

    /// Whether the request's body must stay readable: also for its trailers, which come behind it.
    pub fn keeps_request(&self) -> bool {
        self.features.has(Features::BUFFER_REQUEST) || self.features.has(Features::TRAILERS)
    }

    /// Reads the whole request body, unless that was done.
    pub async fn keep_request(&mut self) -> Result<()> {
        if let Some(mut incoming) = self.incoming.take() {
            let body = incoming.all(self.body_limit).await;
            let body = body.map_err(|error| Error::misuse(format!("error reading body: {error}")))?;
            self.request_trailers.extend(std::mem::take(&mut incoming.trailers));
            self.request_kept = Some((body, 0));
        }
        Ok(())
    }

    /// The guest's answer, when the next handler is not called.
    pub fn own_response(&mut self) -> Response<Body> {
        let body = self.response_body.split().freeze();
        let trailers = std::mem::take(&mut self.response_trailers);
        self.respond(Body::kept(body, trailers))
    }

    /// The request for the next handler.
    pub async fn next_request(&mut self) -> Result<Request<Body>> {
        if self.keeps_request() {
            self.keep_request().await?;
        }
        let mut parts = self.request.clone();
        parts.extensions = std::mem::take(&mut self.request.extensions);
        let trailers = self.request_trailers.clone();
        let body = match (self.request_written.take(), &self.request_kept, self.incoming.take()) {
            (Some(written), _, _) => {
                set_length(&mut parts.headers, written.len());
                Body::kept(written.freeze(), trailers)
            }
            (None, Some((body, _)), _) => Body::kept(body.clone(), trailers),
            (None, None, Some(incoming)) => incoming.rest(),
            (None, None, None) => Body::full(Bytes::new()),
        };
        Ok(Request::from_parts(parts, body))
    }

    /// The next handler's answer joins what the guest has set before.
    pub async fn take_response(&mut self, response: Response<Body>) -> Result<()> {
        let (mut parts, body) = response.into_parts();
        let is_kept = self.features.has(Features::BUFFER_RESPONSE);
        // Without buffering the guest's status went out first, and a status goes out once.
        if self.has_status && !is_kept {
            parts.status = self.response.status;
        }
        let mut headers = std::mem::take(&mut self.response.headers);
        for name in parts.headers.keys() {
            headers.remove(name);
        }
        headers.extend(parts.headers.drain());
        if !self.response_body.is_empty() {
            headers.remove(CONTENT_LENGTH);
        }
        parts.headers = headers;
        self.response = parts;
        if is_kept {
            let mut reader = Reader::new(body);
            let body = reader.all(self.body_limit).await;
            let body = body.map_err(|error| Error::misuse(format!("error reading body: {error}")))?;
            self.response_body.extend_from_slice(&body);
            self.response_trailers.extend(std::mem::take(&mut reader.trailers));
        } else {
            self.outgoing = Some(body);
        }
        Ok(())
    }

    /// The answer behind the next handler.
    pub fn final_response(&mut self) -> Response<Body> {
        let body = self.response_body.split().freeze();
        let trailers = std::mem::take(&mut self.response_trailers);
        if self.is_rewritten {
            set_length(&mut self.response.headers, body.len());
        }
        let body = match self.outgoing.take() {
            Some(outgoing) => outgoing.behind(body),
            None => Body::kept(body, trailers),
        };
        self.respond(body)
    }

    fn respond(&mut self, body: Body) -> Response<Body> {
        let (mut parts, ()) = Response::new(()).into_parts();
        std::mem::swap(&mut parts, &mut self.response);
        Response::from_parts(parts, body)
    }

    pub fn set_status(&mut self, status: u32) -> Result<()> {
        let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        self.response.status = status.ok_or_else(|| Error::misuse("this is no HTTP status"))?;
        self.has_status = true;
        Ok(())
    }
}

/// A body of another length was put into a message.
fn set_length(headers: &mut HeaderMap, length: usize) {
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}
