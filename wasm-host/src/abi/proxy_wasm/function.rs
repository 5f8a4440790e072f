//! A plugin as a function: a request is a stream that nothing stands behind.
//!
//! The guest answers with a local response, or by writing the response's body (and headers, if it likes) while it sees
//! the request. Modules in Layotto's dialect get the query string where there is no body.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};

use super::map::Pairs;
use super::plugin::ProxyWasm;
use super::reach::{headers, pairs, pseudo};
use super::session::Session;
use super::status::{Action, Direction};
use super::stream::LocalResponse;
use crate::body::{Body, Reader};
use crate::error::{Error, Result};
use crate::function::Function;
use crate::sidecar::Caller;

/// What an answer is when its guest does not say.
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A plugin whose streams are requests to it.
pub struct ProxyFunction {
    plugin: ProxyWasm,
    /// The most bytes of a request's body.
    body_limit: usize,
    /// How long one request may take, waiting included.
    timeout: Duration,
}

/// What the guest has made of a request.
struct Answer {
    status: StatusCode,
    headers: Pairs,
    body: Vec<u8>,
}

impl ProxyFunction {
    pub fn new(plugin: ProxyWasm, body_limit: usize, timeout: Duration) -> Self {
        Self { plugin, body_limit, timeout }
    }

    async fn answer(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let mut reader = Reader::new(body);
        let read = reader.read(self.body_limit.saturating_add(1)).await;
        let (body, _) = read.map_err(|error| Error::Request(error.to_string()))?;
        if body.len() > self.body_limit {
            return Err(Error::TooLong { guest: caller.function.to_string(), limit: self.body_limit });
        }
        let query = parts.uri.query().unwrap_or_default();
        let body = if body.is_empty() && self.plugin.has_id() { query.as_bytes() } else { &body[..] };
        let mut session = self.plugin.open_for(caller).await?;
        let trailers: Pairs = pairs(&reader.trailers).collect();
        match exchange(&mut session, head(&parts), body, trailers).await {
            Ok(answer) => {
                session.close().await?;
                Ok(response(answer))
            }
            // The guest is in order, it only has no answer: it hears of the end, and goes on with others.
            Err(error @ Error::Paused { .. }) => {
                session.close().await?;
                Err(error)
            }
            Err(error) => Err(error.of(&caller.function)),
        }
    }
}

#[async_trait]
impl Function for ProxyFunction {
    async fn handle_http(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>> {
        match tokio::time::timeout(self.timeout, self.answer(caller, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::OutOfTime { guest: caller.function.to_string(), limit: self.timeout }),
        }
    }

    async fn id(&self) -> Result<Option<String>> {
        self.plugin.id().await
    }

    async fn run(&self) -> Result<()> {
        self.plugin.run_root().await
    }

    fn trim(&self, idle: Duration) {
        self.plugin.trim(idle);
    }

    fn guests(&self) -> usize {
        self.plugin.guests()
    }
}

/// The request's head as a guest has it.
fn head(parts: &http::request::Parts) -> Pairs {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let authority = authority.or_else(|| parts.headers.get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let pseudo = [
        (":method", parts.method.as_str().as_bytes()),
        (":path", path.as_bytes()),
        (":authority", authority),
        (":scheme", parts.uri.scheme_str().unwrap_or("http").as_bytes()),
    ];
    let pseudo = pseudo.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    pseudo.chain(pairs(&parts.headers).filter(|(name, _)| name != b"host")).collect()
}

/// Shows the guest the request, and then its own answer.
async fn exchange(session: &mut Session, head: Pairs, body: &[u8], trailers: Pairs) -> Result<Answer> {
    let (has_body, has_trailers) = (!body.is_empty(), !trailers.is_empty());
    let action = session.headers(Direction::Request, head, !has_body && !has_trailers).await?;
    if let Some(local) = passed(session, Direction::Request, action).await? {
        return finish(session, local).await;
    }
    if has_body {
        let action = session.body(Direction::Request, body, !has_trailers).await?;
        if let Some(local) = passed(session, Direction::Request, action).await? {
            return finish(session, local).await;
        }
    }
    if has_trailers {
        let action = session.trailers(Direction::Request, trailers).await?;
        if let Some(local) = passed(session, Direction::Request, action).await? {
            return finish(session, local).await;
        }
    }
    let body = session.take_body(Direction::Response)?;
    let headers = session.headers_of(Direction::Response)?;
    // A guest that has gone through with the request and has said nothing means nothing.
    let status = if body.is_empty() && headers.is_empty() { StatusCode::NO_CONTENT } else { StatusCode::OK };
    finish(session, Answer { status, headers, body }).await
}

/// Waits while the guest holds the stream back; its own answer, if it has given one.
async fn passed(session: &mut Session, direction: Direction, action: Action) -> Result<Option<Answer>> {
    if let Some(local) = session.local_response()? {
        return Ok(Some(local.into()));
    }
    if action == Action::Pause && !session.is_closed()? {
        session.resumed(direction).await?;
        if let Some(local) = session.local_response()? {
            return Ok(Some(local.into()));
        }
    }
    if session.is_closed()? {
        return Err(Error::misuse("it closed the stream and gave no answer"));
    }
    Ok(None)
}

/// The response's callbacks, which may change it.
async fn finish(session: &mut Session, answer: Answer) -> Result<Answer> {
    let Answer { status, mut headers, body } = answer;
    if pseudo(&headers, ":status").is_none() {
        headers.insert(0, (b":status".to_vec(), status.as_str().as_bytes().to_vec()));
    }
    let action = session.headers(Direction::Response, headers, body.is_empty()).await?;
    if let Some(other) = passed(session, Direction::Response, action).await? {
        return Ok(other);
    }
    session.answered()?;
    let body = if body.is_empty() {
        body
    } else {
        let action = session.body(Direction::Response, &body, true).await?;
        if action == Action::Pause && !session.is_closed()? {
            session.resumed(Direction::Response).await?;
        }
        session.take_body(Direction::Response)?
    };
    let headers = session.headers_of(Direction::Response)?;
    let status = pseudo(&headers, ":status").and_then(|text| text.parse().ok()).unwrap_or(status);
    Ok(Answer { status, headers, body })
}

impl From<LocalResponse> for Answer {
    fn from(local: LocalResponse) -> Self {
        let status = u16::try_from(local.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers: local.headers, body: local.body }
    }
}

fn response(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::full(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = headers(&answer.headers);
    if answer.status != StatusCode::NO_CONTENT {
        response.headers_mut().entry(CONTENT_TYPE).or_insert(PLAIN);
    }
    response
}
