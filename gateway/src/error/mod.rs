//! The error of the API, and the one table of Dapr's error codes ([`table`]).
//!
//! An [`ApiError`] is a value; only `http/respond.rs` and `grpc/status.rs` render it.

use std::collections::BTreeMap;
use std::fmt;

use components::error::ForeignStatus;
use http::StatusCode;
use tonic::Code;

use crate::operation::Front;

mod nested;
pub mod table;

pub use nested::{go_code_name, go_status, nested};

/// A failed call, as both wires show it (as daprd 1.18, `pkg/messages` and `pkg/api/errors`).
#[derive(Clone)]
pub struct ApiError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    tag: String,
    message: String,
    /// Set where daprd's HTTP text differs from its gRPC text.
    http_message: Option<String>,
    http: StatusCode,
    grpc: Code,
    details: Vec<Detail>,
    /// A pluggable component's own status, which gRPC callers get in place of ours.
    foreign: Option<ForeignStatus>,
    category: Category,
}

/// The `domain` of this sidecar's own `ErrorInfo`s.
pub(crate) const DOMAIN: &str = "dapr.io";

/// Which answers show a [`Detail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Both,
    Only(Front),
}

#[derive(Debug, Clone)]
pub struct Detail {
    pub shown: Shown,
    pub kind: DetailKind,
}

/// One `google.rpc` detail message.
#[derive(Debug, Clone)]
pub enum DetailKind {
    ErrorInfo { reason: String, domain: String, metadata: BTreeMap<String, String> },
    ResourceInfo { resource_type: String, resource_name: String, owner: String, description: String },
    BadRequest { field: String, description: String },
    Help { url: String, description: String },
}

/// `category` of `dapr_error_code_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Actor,
    Workflow,
    State,
    Configuration,
    Crypto,
    Secret,
    Pubsub,
    Conversation,
    ServiceInvocation,
    Binding,
    Lock,
    Job,
    Health,
    Middleware,
    Common,
    PluggableComponent,
    /// Ottavo's own.
    Function,
}

impl Category {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Workflow => "workflow",
            Self::State => "state",
            Self::Configuration => "configuration",
            Self::Crypto => "crypto",
            Self::Secret => "secret",
            Self::Pubsub => "pubsub",
            Self::Conversation => "conversation",
            Self::ServiceInvocation => "service-invocation",
            Self::Binding => "binding",
            Self::Lock => "lock",
            Self::Job => "job",
            Self::Health => "health",
            Self::Middleware => "middleware",
            Self::Common => "common",
            Self::PluggableComponent => "pluggable-component",
            Self::Function => "function",
        }
    }
}

impl ApiError {
    /// An error without details, the same on both wires.
    pub fn new(category: Category, tag: &str, http: u16, grpc: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            tag: tag.to_owned(),
            message: message.into(),
            http_message: None,
            http: StatusCode::from_u16(http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            grpc,
            details: Vec::new(),
            foreign: None,
            category,
        }))
    }

    /// The answer for an error that the table does not know: 500 `ERROR`.
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Category::Common, "ERROR", 500, Code::Unknown, message)
    }

    /// Adds an `ErrorInfo`.
    pub fn info(self, shown: Shown, reason: &str, metadata: impl IntoIterator<Item = (String, String)>) -> Self {
        self.detail(
            shown,
            DetailKind::ErrorInfo {
                reason: reason.to_owned(),
                domain: DOMAIN.to_owned(),
                metadata: metadata.into_iter().collect(),
            },
        )
    }

    /// Adds a `ResourceInfo` without owner.
    pub fn resource(self, shown: Shown, resource_type: &str, resource_name: &str) -> Self {
        self.detail(
            shown,
            DetailKind::ResourceInfo {
                resource_type: resource_type.to_owned(),
                resource_name: resource_name.to_owned(),
                owner: String::new(),
                description: String::new(),
            },
        )
    }

    /// Adds a `ResourceInfo` whose description is the error's text (pub/sub).
    pub fn described_resource(self, shown: Shown, resource_type: &str, resource_name: &str) -> Self {
        let description = self.0.message.clone();
        self.detail(
            shown,
            DetailKind::ResourceInfo {
                resource_type: resource_type.to_owned(),
                resource_name: resource_name.to_owned(),
                owner: String::new(),
                description,
            },
        )
    }

    pub fn detail(mut self, shown: Shown, kind: DetailKind) -> Self {
        self.0.details.push(Detail { shown, kind });
        self
    }

    /// The text shown over HTTP, where it differs.
    pub fn http_message(mut self, message: impl Into<String>) -> Self {
        self.0.http_message = Some(message.into());
        self
    }

    pub fn with_http_status(mut self, status: u16) -> Self {
        if let Ok(status) = StatusCode::from_u16(status) {
            self.0.http = status;
        }
        self
    }

    pub fn with_grpc(mut self, code: Code) -> Self {
        self.0.grpc = code;
        self
    }

    pub fn with_foreign(mut self, status: &ForeignStatus) -> Self {
        self.0.foreign = Some(status.clone());
        self
    }

    pub fn tag(&self) -> &str {
        &self.0.tag
    }

    pub fn category(&self) -> Category {
        self.0.category
    }

    /// The code that `dapr_error_code_total` counts.
    pub fn counted_code(&self) -> &str {
        &self.0.tag
    }

    pub fn message(&self, front: Front) -> &str {
        match (front, &self.0.http_message) {
            (Front::Http, Some(message)) => message,
            _ => &self.0.message,
        }
    }

    pub fn http_status(&self) -> StatusCode {
        self.0.http
    }

    pub fn grpc_code(&self) -> Code {
        self.0.grpc
    }

    pub fn details(&self, front: Front) -> impl Iterator<Item = &DetailKind> {
        self.0
            .details
            .iter()
            .filter(move |detail| match detail.shown {
                Shown::Both => true,
                Shown::Only(only) => only == front,
            })
            .map(|detail| &detail.kind)
    }

    pub fn foreign(&self) -> Option<&ForeignStatus> {
        self.0.foreign.as_ref()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiError({}, {})", self.0.tag, self.0.message)
    }
}

impl std::error::Error for ApiError {}
