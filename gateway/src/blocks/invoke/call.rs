//! A call of an application's method, and the answer, whatever wires they come over and go to.

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prost_types::Any;
use proto_dapr::common::http_extension::Verb as Known;

use crate::body::Body;
use crate::operation::{Front, Operation};

use super::InvokeBlock;

/// Calls a method of an application, an HTTPEndpoint or a URL.
pub struct InvokeApp {
    /// As the caller named it: `app`, `app.namespace`, an endpoint's name, or `http(s)://…`.
    pub target: String,
    pub call: AppCall,
}

impl Operation for InvokeApp {
    type Reply = AppReply;
    type Block = InvokeBlock;
    const NAME: &'static str = "InvokeService";
}

/// A call: what is known before its body, and the body.
pub struct AppCall {
    pub head: CallHead,
    pub body: Body,
    /// The length is not known beforehand: the body is not kept, and the call made once.
    pub is_stream: bool,
}

/// A call without its body.
#[derive(Debug, Clone)]
pub struct CallHead {
    /// A path, without a query. A slash in front is optional.
    pub method: String,
    /// `None` when a gRPC caller has left it out.
    pub verb: Option<Verb>,
    /// Encoded, without its question mark.
    pub query: String,
    /// The caller's headers or metadata, without its content type. Binary metadata is in base64.
    pub headers: HeaderMap,
    pub content_type: Option<HeaderValue>,
    /// Set when the body is a protobuf message of a known type.
    pub type_url: String,
    /// What kind of headers these are.
    pub origin: Front,
}

/// An HTTP verb by its number in Dapr's definitions, or any other number, which prints as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verb(pub i32);

impl Verb {
    pub const NONE: Self = Self(Known::None as i32);
    pub const CONNECT: Self = Self(Known::Connect as i32);

    /// Verbs are matched in any case; one that Dapr does not know is sent as POST.
    pub fn of(method: &Method) -> Self {
        let known = match method.as_str().to_ascii_uppercase().as_str() {
            "GET" => Known::Get,
            "HEAD" => Known::Head,
            "PUT" => Known::Put,
            "DELETE" => Known::Delete,
            "CONNECT" => Known::Connect,
            "OPTIONS" => Known::Options,
            "TRACE" => Known::Trace,
            "PATCH" => Known::Patch,
            _ => Known::Post,
        };
        Self(known as i32)
    }

    pub fn method(self) -> Method {
        let known = match Known::try_from(self.0) {
            Ok(Known::None) => "NONE",
            Ok(Known::Get) => return Method::GET,
            Ok(Known::Head) => return Method::HEAD,
            Ok(Known::Post) => return Method::POST,
            Ok(Known::Put) => return Method::PUT,
            Ok(Known::Delete) => return Method::DELETE,
            Ok(Known::Connect) => return Method::CONNECT,
            Ok(Known::Options) => return Method::OPTIONS,
            Ok(Known::Trace) => return Method::TRACE,
            Ok(Known::Patch) => return Method::PATCH,
            Err(_) => return Method::from_bytes(self.0.to_string().as_bytes()).unwrap_or(Method::POST),
        };
        Method::from_bytes(known.as_bytes()).unwrap_or(Method::POST)
    }
}

/// An answer.
pub struct AppReply {
    pub status: ReplyStatus,
    /// Without content type and length.
    pub headers: HeaderMap,
    /// Of gRPC applications.
    pub trailers: HeaderMap,
    pub content_type: Option<HeaderValue>,
    pub type_url: String,
    pub body: Body,
}

/// The application's own status: HTTP applications answer with one kind, gRPC applications with the other.
#[derive(Debug, Clone, PartialEq)]
pub enum ReplyStatus {
    Http(StatusCode),
    Grpc(GrpcStatus),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct GrpcStatus {
    pub code: i32,
    pub message: String,
    pub details: Vec<Any>,
}

impl ReplyStatus {
    /// The number that daprd's messages and metrics show.
    pub fn number(&self) -> i32 {
        match self {
            Self::Http(status) => i32::from(status.as_u16()),
            Self::Grpc(status) => status.code,
        }
    }
}

/// The type of a body that is a typed protobuf message.
pub const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

impl CallHead {
    /// The content type: that of protobuf for typed messages, whatever was said.
    pub fn effective_content_type(&self) -> Option<HeaderValue> {
        if self.type_url.is_empty() { self.content_type.clone() } else { Some(PROTOBUF) }
    }

    /// Whether the caller waits for server-sent events.
    pub fn wants_events(&self) -> bool {
        let accept = self.headers.get(http::header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.trim().eq_ignore_ascii_case("text/event-stream"))
    }
}

impl AppReply {
    pub fn effective_content_type(&self) -> Option<HeaderValue> {
        if self.type_url.is_empty() { self.content_type.clone() } else { Some(PROTOBUF) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_known_in_any_case_and_others_become_post() {
        for (given, sent) in [("get", "GET"), ("PATCH", "PATCH"), ("BREW", "POST"), ("PURGE", "POST")] {
            assert_eq!(Verb::of(&Method::from_bytes(given.as_bytes()).unwrap()).method().as_str(), sent);
        }
        assert_eq!(Verb(77).method().as_str(), "77");
        assert_eq!(Verb::NONE.method().as_str(), "NONE");
    }
}
