//! Which kind of data a content type stands for (as daprd 1.18): parameters and case do not matter.

/// How a payload is carried in a cloud event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Json,
    CloudEvent,
    /// `text/*` and `application/xml`.
    Text,
    Binary,
    /// `application/cloudevents+protobuf`.
    CloudEventProtobuf,
    /// Anything else, `application/x-protobuf` among it.
    Other,
}

pub fn kind(content_type: &str) -> Kind {
    let bare = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match bare.as_str() {
        "application/json" => Kind::Json,
        "application/cloudevents+json" => Kind::CloudEvent,
        "application/xml" => Kind::Text,
        "application/octet-stream" => Kind::Binary,
        "application/cloudevents+protobuf" => Kind::CloudEventProtobuf,
        other if other.starts_with("text/") => Kind::Text,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        assert_eq!(kind("Application/JSON; charset=utf-8"), Kind::Json);
        assert_eq!(kind("text/html"), Kind::Text);
        assert_eq!(kind(""), Kind::Other);
    }
}
