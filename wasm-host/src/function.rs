//! A function: a guest that answers requests and takes messages, whatever its kind is.
//!
//! Who runs functions (the gateway, a command, a test) knows this trait alone. Each kind of guest implements it once.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use crate::body::Body;
use crate::error::{Error, Result};
use crate::sidecar::Caller;

/// What a message of a topic is called on its way to a function that takes requests.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";

/// A message of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub pubsub: String,
    pub topic: String,
    /// Where the subscription's rules send it; begins with a slash.
    pub path: String,
    /// The CloudEvent as an application gets it, in JSON.
    pub envelope: Bytes,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    /// Deliver it again, as the subscription's policy says.
    Retry,
    /// It is of no use: it goes to the dead letters, if there are any.
    Drop,
}

/// A module with its configuration and its pool of guests.
///
/// `caller` is the function itself as it appears in the calls that it makes: its name, how deep it stands in a chain of
/// functions, the trace of what it works on.
#[async_trait]
pub trait Function: Send + Sync {
    /// Answers a request. Its URI is path and query; its body may be a stream, and is read as the guest needs it.
    ///
    /// # Errors
    /// What ended the guest, or kept it from starting. Never an answer of the guest itself.
    async fn handle_http(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>>;

    /// Takes a message. By default as a request: POST of the envelope to the message's path; 2xx is success, 404 drops
    /// it, everything else asks for another try (as daprd with an application that answers without a status in its body).
    ///
    /// # Errors
    /// As [`Function::handle_http`]; the caller decides about another try.
    async fn handle_event(&self, caller: &Caller, message: Message) -> Result<Outcome> {
        message_as_request(self, caller, message).await
    }

    /// The id that the module itself says it has (Layotto's `proxy_get_id`); `None`: it says none.
    ///
    /// # Errors
    /// The guest failed over the question.
    async fn id(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Does what is due without any call (timers, queues), until there is nothing to wait for.
    ///
    /// # Errors
    /// The guest that does it has failed.
    async fn run(&self) -> Result<()> {
        Ok(())
    }

    /// Lets guests go that nobody has called for `idle`, but for those that are kept in any case.
    fn trim(&self, idle: Duration) {
        let _ = idle;
    }

    /// Guests that are alive now.
    fn guests(&self) -> usize {
        0
    }
}

/// What [`Function::handle_event`] does where a kind has no other way.
pub(crate) async fn message_as_request<F>(function: &F, caller: &Caller, message: Message) -> Result<Outcome>
where
    F: Function + ?Sized,
{
    let mut request = Request::new(Body::full(message.envelope));
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        message.path.parse().map_err(|error| Error::Source(format!("the path '{}': {error}", message.path)))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CLOUD_EVENT));
    let response = function.handle_http(caller, request).await?;
    Ok(match response.status() {
        status if status.is_success() => Outcome::Success,
        StatusCode::NOT_FOUND => Outcome::Drop,
        _ => Outcome::Retry,
    })
}
