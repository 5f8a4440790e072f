//! `spec.tracing`: how much is traced and where spans go.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer};

use crate::config::duration::GoDuration;
use crate::config::environment::Environment;
use crate::config::value::DynamicValue;

/// Settings of tracing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TracingSpec {
    /// Empty: only headers are passed on. `0`: not even that. Else the share of new traces that is recorded.
    pub sampling_rate: String,
    pub stdout: bool,
    pub zipkin: ZipkinSpec,
    pub otel: OtelSpec,
}

/// Zipkin's v2 JSON over HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ZipkinSpec {
    /// The whole URL; empty for none.
    pub endpoint_address: String,
}

/// OTLP over gRPC or HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OtelSpec {
    /// `http` or `grpc`.
    pub protocol: String,
    /// `host:port`; empty for none.
    pub endpoint_address: String,
    pub is_secure: Option<bool>,
    pub headers: Vec<OtelHeader>,
    pub timeout: Option<GoDuration>,
}

/// A header of each export: `name=value` in files, a name/value pair from the operator. Its value never prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtelHeader {
    pub name: String,
    pub value: String,
}

impl fmt::Debug for OtelHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=..", self.name)
    }
}

impl<'de> Deserialize<'de> for OtelHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Pair { name: String, value: Option<DynamicValue> },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(text) => {
                let (name, value) = text.split_once('=').unwrap_or((&text, ""));
                Self { name: name.to_owned(), value: value.to_owned() }
            }
            Form::Pair { name, value } => Self { name, value: value.map(|value| value.text()).unwrap_or_default() },
        })
    }
}

impl OtelSpec {
    pub fn is_secure(&self) -> bool {
        self.is_secure.unwrap_or(true)
    }
}

/// An OTEL variable that cannot be read; daprd prints it behind `error setting tracing spec from env: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtelVariableError {
    #[error("missing '=' parse headers input{0}")]
    HeaderWithoutValue(String),
    #[error("invalid header key{0}")]
    HeaderName(String),
    #[error("strconv.Atoi: parsing {0:?}: invalid syntax")]
    Timeout(String),
}

impl TracingSpec {
    /// Takes what the configuration leaves open from the `OTEL_EXPORTER_OTLP_*` variables, as daprd 1.18: nothing when
    /// an OTLP endpoint is configured; the `TRACES` forms win.
    pub fn apply_environment(&mut self, environment: &Environment) -> Result<(), OtelVariableError> {
        if !self.otel.endpoint_address.is_empty() {
            return Ok(());
        }
        let find = |what: &str| {
            environment
                .non_empty(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
                .or_else(|| environment.non_empty(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        if let Some(endpoint) = find("ENDPOINT") {
            let endpoint = endpoint.strip_prefix("http://").unwrap_or(endpoint);
            self.otel.endpoint_address = endpoint.strip_prefix("https://").unwrap_or(endpoint).to_owned();
            if self.sampling_rate.is_empty() {
                self.sampling_rate = "1".to_owned();
            }
            let over_http = find("PROTOCOL").is_some_and(|protocol| protocol.starts_with("http"));
            self.otel.protocol = if over_http { "http" } else { "grpc" }.to_owned();
            if environment.get("OTEL_EXPORTER_OTLP_INSECURE") == Some("true") {
                self.otel.is_secure = Some(false);
            }
        }
        if let Some(headers) = find("HEADERS") {
            self.otel.headers.extend(parse_headers(headers)?);
        }
        if let Some(timeout) = find("TIMEOUT") {
            let millis: i64 = timeout.parse().map_err(|_| OtelVariableError::Timeout(timeout.to_owned()))?;
            if millis > 0 {
                self.otel.timeout = Some(GoDuration::from_millis(millis));
            }
        }
        Ok(())
    }
}

/// `k=v,k2=v2` with percent-encoded values.
fn parse_headers(text: &str) -> Result<Vec<OtelHeader>, OtelVariableError> {
    text.split(',')
        .map(|entry| {
            let Some((name, value)) = entry.split_once('=') else {
                return Err(OtelVariableError::HeaderWithoutValue(entry.to_owned()));
            };
            let name = name.trim();
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(OtelVariableError::HeaderName(name.to_owned()));
            }
            let value = percent_decode_str(value).decode_utf8_lossy().trim().to_owned();
            Ok(OtelHeader { name: name.to_owned(), value })
        })
        .collect()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    #[test]
    fn headers_come_in_two_forms() {
        let spec: OtelSpec =
            decode(json!({"headers": ["a=b=c", {"name": "d", "value": "e"}], "timeout": "3s"})).unwrap();
        assert_eq!(spec.headers[0], OtelHeader { name: "a".into(), value: "b=c".into() });
        assert_eq!(spec.headers[1], OtelHeader { name: "d".into(), value: "e".into() });
        assert_eq!(spec.timeout, Some(GoDuration::from_secs(3)));
        assert!(spec.is_secure());
    }

    #[test]
    fn the_environment_fills_what_is_open() {
        let mut spec = TracingSpec::default();
        let environment = Environment::new([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "k=v%20w, x = y"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ]);
        spec.apply_environment(&environment).unwrap();
        assert_eq!(spec.sampling_rate, "1");
        assert_eq!((spec.otel.endpoint_address.as_str(), spec.otel.protocol.as_str()), ("collector:4318", "http"));
        assert!(!spec.otel.is_secure());
        assert_eq!(spec.otel.headers[0].value, "v w");
        assert_eq!(spec.otel.headers[1].name, "x");
        assert_eq!(spec.otel.timeout, Some(GoDuration::from_millis(1500)));
    }

    #[test]
    fn a_configured_endpoint_wins_whole() {
        let mut spec = TracingSpec::default();
        spec.otel.endpoint_address = "mine:4317".into();
        let before = spec.clone();
        spec.apply_environment(&Environment::new([("OTEL_EXPORTER_OTLP_HEADERS", "a=b")])).unwrap();
        assert_eq!(spec, before);
    }

    #[test]
    fn bad_variables_are_errors() {
        let apply = |name, value| TracingSpec::default().apply_environment(&Environment::new([(name, value)]));
        assert_eq!(
            apply("OTEL_EXPORTER_OTLP_HEADERS", "novalue").unwrap_err().to_string(),
            "missing '=' parse headers inputnovalue"
        );
        assert_eq!(
            apply("OTEL_EXPORTER_OTLP_TIMEOUT", "soon").unwrap_err().to_string(),
            r#"strconv.Atoi: parsing "soon": invalid syntax"#
        );
    }
}
