//! A span while it is open.

use std::borrow::Cow;
use std::time::SystemTime;

use super::context::SpanContext;
use super::export::Exporter;
use super::ids::SpanId;

/// The part that a span plays in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    Internal,
    Client,
    Server,
    Producer,
    Consumer,
}

/// How the work of a span ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Unset,
    /// With a description.
    Error(String),
}

impl Status {
    /// An error from 400 on, described as daprd does: `Code(404): Not Found`.
    pub fn from_http(code: u16) -> Self {
        if code < 400 {
            return Self::Unset;
        }
        let text = http::StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason());
        Self::Error(format!("Code({code}): {}", text.unwrap_or("Unknown")))
    }
}

/// A span that has ended, as exporters get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    pub context: SpanContext,
    /// `None` for the first span of a trace.
    pub parent: Option<SpanId>,
    /// Whether the parent came from outside; always so but for spans inside this sidecar.
    pub kind: SpanKind,
    pub name: Cow<'static, str>,
    pub start: SystemTime,
    pub end: SystemTime,
    /// In the order of setting; the last of equal keys counts.
    pub attributes: Vec<(Cow<'static, str>, String)>,
    pub status: Status,
}

/// An open span: its context to pass on and, when it is sampled, what it records. Dropping it ends it.
///
/// A span that is not sampled holds nothing but its context and allocates nothing.
pub struct Span {
    context: SpanContext,
    recording: Option<Box<Recording>>,
}

struct Recording {
    exporter: Exporter,
    finished: Finished,
}

impl Span {
    /// A span that records nothing: its context alone.
    pub fn silent(context: SpanContext) -> Self {
        Self { context, recording: None }
    }

    pub(super) fn recording(
        context: SpanContext,
        parent: Option<SpanId>,
        kind: SpanKind,
        name: &str,
        exporter: Exporter,
    ) -> Self {
        let now = SystemTime::now();
        let finished = Finished {
            context: context.clone(),
            parent,
            kind,
            name: Cow::Owned(name.to_owned()),
            start: now,
            end: now,
            attributes: Vec::new(),
            status: Status::Unset,
        };
        Self { context, recording: Some(Box::new(Recording { exporter, finished })) }
    }

    /// What calls made within this span carry.
    pub fn context(&self) -> &SpanContext {
        &self.context
    }

    /// Whether names and attributes are kept. Ask before making them.
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    pub fn set_name(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(recording) = &mut self.recording {
            recording.finished.name = name.into();
        }
    }

    /// Sets an attribute; an empty value is none, as in daprd.
    pub fn set_attribute(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        if let Some(recording) = &mut self.recording {
            let (key, value) = (key.into(), value.into());
            if !value.is_empty() {
                recording.finished.attributes.retain(|(known, _)| *known != key);
                recording.finished.attributes.push((key, value));
            }
        }
    }

    pub fn set_status(&mut self, status: Status) {
        if let Some(recording) = &mut self.recording {
            recording.finished.status = status;
        }
    }

    /// Ends the span now.
    pub fn end(self) {}
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut recording) = self.recording.take() {
            recording.finished.end = SystemTime::now();
            recording.exporter.export(recording.finished);
        }
    }
}

impl std::fmt::Debug for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Span").field("context", &self.context).field("recording", &self.is_recording()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_follow_http() {
        assert_eq!(Status::from_http(399), Status::Unset);
        assert_eq!(Status::from_http(404), Status::Error("Code(404): Not Found".into()));
        assert_eq!(Status::from_http(799), Status::Error("Code(799): Unknown".into()));
    }
}
