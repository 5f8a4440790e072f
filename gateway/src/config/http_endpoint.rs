//! `HTTPEndpoint`, `dapr.io/v1alpha1`: an address outside that is called like an app.

use serde::Deserialize;

use super::component::{Property, secret_names};
use super::meta::{Auth, Metadata, Resource, SecretKeyRef};
use super::value::DynamicValue;

/// An endpoint as written; headers and certificates may be references.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HttpEndpoint {
    pub metadata: Metadata,
    pub spec: HttpEndpointSpec,
    pub auth: Auth,
    pub scopes: Vec<String>,
}

/// `spec` of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HttpEndpointSpec {
    pub base_url: String,
    /// Set on every call, over what the caller sent.
    pub headers: Vec<Property>,
    #[serde(rename = "clientTLS")]
    pub client_tls: Option<ClientTls>,
}

/// How to speak TLS to the endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientTls {
    #[serde(rename = "rootCA")]
    pub root_ca: Option<TlsDocument>,
    pub certificate: Option<TlsDocument>,
    pub private_key: Option<TlsDocument>,
    /// `RenegotiateNever` (default), `OnceAsClient` or `FreelyAsClient`; TLS 1.3 has none.
    pub renegotiation: Option<String>,
}

/// A PEM text, or where to find it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TlsDocument {
    pub value: Option<DynamicValue>,
    pub secret_key_ref: Option<SecretKeyRef>,
}

impl Resource for HttpEndpoint {
    const API_VERSION: &'static str = "dapr.io/v1alpha1";
    const KIND: &'static str = "HTTPEndpoint";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn log_name(&self) -> String {
        format!("{} ({})", self.metadata.name, self.spec.base_url)
    }
}

impl HttpEndpoint {
    /// Names of the secrets that headers and certificates refer to, each once.
    pub fn secret_names(&self) -> Vec<&str> {
        let mut names = secret_names(&self.spec.headers);
        let documents = self.spec.client_tls.iter().flat_map(|tls| [&tls.root_ca, &tls.certificate, &tls.private_key]);
        for reference in documents.flatten().filter_map(|document| document.secret_key_ref.as_ref()) {
            if !reference.name.is_empty() && !names.contains(&reference.name.as_str()) {
                names.push(&reference.name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    #[test]
    fn secrets_of_headers_and_certificates_are_named_once() {
        let endpoint: HttpEndpoint = decode(json!({
            "metadata": {"name": "hooks"},
            "spec": {
                "baseURL": "https://example.test",
                "headers": [{"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}],
                "clientTLS": {"rootCA": {"secretKeyRef": {"name": "s", "key": "ca"}}, "privateKey": {"secretKeyRef": {"name": "t"}}},
            },
        }))
        .unwrap();
        assert_eq!(endpoint.secret_names(), ["s", "t"]);
        assert_eq!(endpoint.log_name(), "hooks (https://example.test)");
    }
}
