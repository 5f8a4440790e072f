//! Entries of a stream: `data` with the message, `metadata` with its metadata as JSON.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::{Message, PublishRequest};
use crate::Metadata;
use crate::clients::redis::{Argument, Reply};

/// How a stream is kept short when something is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trim {
    /// To about this many entries.
    MaxLen(i64),
    /// To about those from this time on, in milliseconds since 1970.
    MinTime(i64),
}

/// An entry that was read.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) data: Bytes,
    pub(super) metadata: Metadata,
}

impl Entry {
    /// An entry as `[id, [field, value, ...]]`. One that was deleted has no fields and is none.
    pub(super) fn parse(reply: Reply) -> Option<Self> {
        let mut parts = reply.array().into_iter();
        let id = parts.next()?.text()?;
        let fields = parts.next().filter(|fields| !fields.is_nil())?;
        let mut entry = Self { id, data: Bytes::new(), metadata: Metadata::new() };
        let mut fields = fields.array().into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match name.bytes().as_deref() {
                Some(b"data") => entry.data = value.bytes().unwrap_or_default(),
                Some(b"metadata") => entry.metadata = metadata(&entry.id, value),
                _ => (),
            }
        }
        Some(entry)
    }

    pub(super) fn into_message(self, topic: &str) -> Message {
        Message { topic: topic.to_owned(), data: self.data, metadata: self.metadata, content_type: None }
    }
}

fn metadata(id: &str, value: Reply) -> Metadata {
    let text = value.bytes().unwrap_or_default();
    serde_json::from_slice::<BTreeMap<String, String>>(&text).unwrap_or_else(|error| {
        tracing::warn!("Redis PubSub: Could not extract metadata for Redis message {id}: {error}");
        Metadata::new()
    })
}

/// The arguments of `XADD`.
pub(super) fn add(request: PublishRequest, trim: Option<Trim>) -> Vec<Argument> {
    let mut arguments: Vec<Argument> = vec![request.topic.into()];
    match trim {
        Some(Trim::MaxLen(entries)) => arguments.extend(["MAXLEN".into(), "~".into(), entries.into()]),
        Some(Trim::MinTime(time)) => arguments.extend(["MINID".into(), "~".into(), format!("{time}-1").into()]),
        None => (),
    }
    arguments.extend(["*".into(), "data".into(), request.data.into()]);
    if !request.metadata.is_empty() {
        let metadata: serde_json::Map<_, _> =
            request.metadata.into_iter().map(|(name, value)| (name, value.into())).collect();
        arguments.extend(["metadata".into(), serde_json::Value::from(metadata).to_string().into()]);
    }
    arguments
}

/// The id right behind `id`, to go on from it. Servers before 6.2 know no exclusive ranges.
pub(super) fn next_id(id: &str) -> Option<String> {
    let (time, number) = id.split_once('-')?;
    match number.parse::<u64>().ok()?.checked_add(1) {
        Some(number) => Some(format!("{time}-{number}")),
        None => Some(format!("{}-0", time.parse::<u64>().ok()?.checked_add(1)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_id_is_one_further() {
        assert_eq!(next_id("5-0").as_deref(), Some("5-1"));
        assert_eq!(next_id("5-18446744073709551615").as_deref(), Some("6-0"));
        assert_eq!(next_id("x"), None);
    }

    #[test]
    fn metadata_is_left_out_when_there_is_none() {
        let request = |metadata: Metadata| PublishRequest {
            topic: "t".to_owned(),
            data: Bytes::from_static(b"x"),
            metadata,
            content_type: None,
        };
        let texts = |arguments: Vec<Argument>| -> Vec<String> {
            arguments.into_iter().filter_map(Argument::into_string).collect()
        };
        assert_eq!(texts(add(request(Metadata::new()), None)), ["t", "*", "data", "x"]);
        let metadata = Metadata::from([("k".to_owned(), "v".to_owned())]);
        assert_eq!(
            texts(add(request(metadata), Some(Trim::MinTime(7)))),
            ["t", "MINID", "~", "7-1", "*", "data", "x", "metadata", r#"{"k":"v"}"#]
        );
    }
}
