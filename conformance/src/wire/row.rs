//! A row of the table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Subject;

/// A request, and what must come back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    /// The request, this or `grpc`.
    #[serde(default)]
    pub http: Option<Http>,
    #[serde(default)]
    pub grpc: Option<Grpc>,
    /// The answer of a real daprd, and of Ottavo unless `ours` is given.
    #[serde(default)]
    pub expect: Answer,
    /// Where Ottavo answers otherwise.
    #[serde(default)]
    pub ours: Option<Ours>,
}

/// An answer that is better than daprd's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ours {
    /// Why, in one line.
    pub because: String,
    pub expect: Answer,
}

/// A request over HTTP/1: either `raw`, or in parts. Texts are bytes as [`super::text`] reads them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The bytes of the whole request.
    pub raw: String,
    /// `GET` when empty.
    pub method: String,
    pub path: String,
    /// Lines after `host` (and `content-length`, when there is a body).
    pub headers: Vec<String>,
    pub body: Option<String>,
    /// Read until the server closes, and fail when it does not.
    pub to_the_end: bool,
    /// Close the sending side after the request.
    pub half_close: bool,
}

/// A call over gRPC: valid HTTP/2 with any contents.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grpc {
    /// A method of `dapr.proto.runtime.v1.Dapr`, or a path that begins with a slash.
    pub method: String,
    /// Beside `te` and `content-type`, in place of them when of their names.
    pub metadata: BTreeMap<String, String>,
    /// The message, as [`super::message`] writes it.
    pub message: Option<Value>,
    /// The bytes of the body in place of a message.
    pub body: Option<String>,
    /// The method of HTTP, `POST` when empty.
    pub verb: String,
    /// Whether the stream stays open after the body.
    pub open: bool,
}

/// What came back. Only what a row names is compared.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// The status of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Statuses of further answers on the same connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<Vec<u16>>,
    /// How the connection or stream ended, when not with the answer: `closed`, `silent`, or HTTP/2's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// gRPC's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Vec<Value>>,
}

impl Row {
    /// What must come back from `subject`.
    pub fn wanted(&self, subject: Subject) -> &Answer {
        match &self.ours {
            Some(ours) if subject == Subject::Ottavo => &ours.expect,
            _ => &self.expect,
        }
    }
}

impl Answer {
    /// Whether all that `wanted` names is so.
    pub fn is_as(&self, wanted: &Self) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, got: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| got == Some(wanted))
        }
        same(wanted.status.as_ref(), self.status.as_ref())
            && wanted.headers.iter().all(|(name, value)| self.headers.get(name) == Some(value))
            && same(wanted.body.as_ref(), self.body.as_ref())
            && same(wanted.json.as_ref(), self.json.as_ref())
            && same(wanted.more.as_ref(), self.more.as_ref())
            && same(wanted.code.as_ref(), self.code.as_ref())
            && same(wanted.message.as_ref(), self.message.as_ref())
            && same(wanted.details.as_ref(), self.details.as_ref())
            // An answer that is wanted must have come whole.
            && wanted.end == self.end
    }

    /// On one line, in the notation of the table.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|error| error.to_string())
    }
}
