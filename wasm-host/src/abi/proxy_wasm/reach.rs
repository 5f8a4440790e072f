//! A guest's calls as calls of a function: what `proxy_*` asks for is asked of the sidecar.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Secret;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};

use super::host::{CallError, Caller, GrpcCall, GrpcEvent, HttpCall, HttpReply, ProxyHost};
use super::map::Pairs;
use crate::body::{Body, Reader};
use crate::sidecar::{self, Binding, Event, Grants, Sidecar, StateChange};

/// Names an application or a function as an upstream: `dapr:<id>`.
const SERVICE: &str = "dapr:";

/// What a function's guests reach.
pub struct Reach {
    /// Refuses by itself what is not granted.
    pub sidecar: Arc<dyn Sidecar>,
    /// To tell a guest at once which upstreams it may call.
    pub grants: Grants,
    /// What guests can ask for as properties, beside what is their stream's: `dapr.app_id`, text.
    pub properties: BTreeMap<String, String>,
    /// The most bytes of an answer.
    pub body_limit: usize,
}

fn as_function(caller: &Caller) -> sidecar::Caller {
    sidecar::Caller { function: caller.plugin.as_str().into(), depth: caller.depth, trace: caller.trace.clone() }
}

impl From<sidecar::CallError> for CallError {
    fn from(error: sidecar::CallError) -> Self {
        Self(error.to_string())
    }
}

impl Reach {
    /// Scheme and authority of an upstream that is granted. One without a scheme is `http` unless only `https` is granted.
    fn origin(&self, upstream: &str) -> Option<String> {
        let candidates = if upstream.contains("://") {
            vec![upstream.trim_end_matches('/').to_lowercase()]
        } else {
            ["http", "https"].map(|scheme| format!("{scheme}://{}", upstream.to_lowercase())).to_vec()
        };
        candidates.into_iter().find(|origin| self.grants.missing_host(origin).is_none())
    }

    /// Whether anything of this id is granted: which method is meant is known only with the request.
    fn may_invoke(&self, id: &str) -> bool {
        let below = format!("{id}/");
        self.grants.missing_invoke(id, "").is_none() || self.grants.invoke.iter().any(|one| one.starts_with(&below))
    }

    async fn reply(
        &self,
        response: http::Response<Body>,
    ) -> Result<(http::response::Parts, Bytes, HeaderMap), CallError> {
        let (parts, body) = response.into_parts();
        let mut reader = Reader::new(body);
        let body = reader.all(self.body_limit).await.map_err(|error| CallError(error.to_string()))?;
        Ok((parts, body, reader.trailers))
    }
}

#[async_trait]
impl ProxyHost for Reach {
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<Bytes>, CallError> {
        let item = self.sidecar.get_state(&as_function(caller), store, key).await?;
        Ok(item.map(|item| item.value))
    }

    async fn set_state(&self, caller: &Caller, store: &str, key: &str, value: Bytes) -> Result<(), CallError> {
        let change = StateChange::Set { key: key.to_owned(), value, etag: None, metadata: BTreeMap::new() };
        Ok(self.sidecar.change_state(&as_function(caller), store, vec![change], false).await?)
    }

    async fn delete_state(&self, caller: &Caller, store: &str, key: &str) -> Result<(), CallError> {
        let change = StateChange::Delete { key: key.to_owned(), etag: None, metadata: BTreeMap::new() };
        Ok(self.sidecar.change_state(&as_function(caller), store, vec![change], false).await?)
    }

    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        Ok(self.sidecar.publish(&as_function(caller), event).await?)
    }

    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        Ok(self.sidecar.secret(&as_function(caller), store, name).await?)
    }

    async fn invoke_binding(&self, caller: &Caller, call: Binding) -> Result<Bytes, CallError> {
        Ok(self.sidecar.bind(&as_function(caller), call).await?.0)
    }

    /// A POST of the parameter; an answer that is no success is an error, as in Layotto.
    async fn invoke_service(
        &self,
        caller: &Caller,
        id: &str,
        method: &str,
        parameter: Bytes,
    ) -> Result<Bytes, CallError> {
        let path = format!("/{}", method.trim_start_matches('/'));
        let request = Request::post(path.as_str()).body(Body::full(parameter));
        let request = request.map_err(|error| CallError(format!("the method '{method}': {error}")))?;
        let response = self.sidecar.invoke(&as_function(caller), id, request).await?;
        let (parts, body, _) = self.reply(response).await?;
        if !parts.status.is_success() {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            return Err(CallError(format!("'{id}' answered {}: {text}", parts.status)));
        }
        Ok(body)
    }

    fn has_upstream(&self, _: &Caller, upstream: &str) -> bool {
        match upstream.strip_prefix(SERVICE) {
            Some(id) => self.may_invoke(id),
            None => self.origin(upstream).is_some(),
        }
    }

    fn missing_upstream(&self, upstream: &str) -> Option<String> {
        let missing = match upstream.strip_prefix(SERVICE) {
            Some(id) => self.grants.missing_invoke(id, ""),
            None if upstream.contains("://") => {
                self.grants.missing_host(&upstream.trim_end_matches('/').to_lowercase())
            }
            None => self.grants.missing_host(&format!("https://{}", upstream.to_lowercase())),
        };
        missing.map(|grant| format!("add `{grant}` to its `grants`"))
    }

    async fn http_call(&self, caller: &Caller, call: HttpCall) -> Result<HttpReply, CallError> {
        let HttpCall { upstream, headers, body, .. } = call;
        let caller = as_function(caller);
        let response = match upstream.strip_prefix(SERVICE) {
            Some(id) => self.sidecar.invoke(&caller, id, request(&headers, "", body)?).await?,
            None => {
                let origin = self.origin(&upstream).ok_or_else(|| CallError(format!("'{upstream}' is not granted")))?;
                self.sidecar.send(&caller, request(&headers, &origin, body)?).await?
            }
        };
        let (parts, body, trailers) = self.reply(response).await?;
        let mut headers = vec![(b":status".to_vec(), parts.status.as_str().as_bytes().to_vec())];
        headers.extend(pairs(&parts.headers));
        Ok(HttpReply { headers, body, trailers: pairs(&trailers).collect() })
    }

    async fn grpc_call(&self, _: &Caller, call: GrpcCall) {
        let message = format!("functions make no gRPC calls yet; '{}' can be called over HTTP", call.upstream);
        let _ = call.events.send(GrpcEvent::Close { code: 12, message }).await;
    }

    fn property(&self, caller: &Caller, path: &[&str]) -> Option<Vec<u8>> {
        if let ["dapr", "trace_id"] = path {
            // version, trace id, parent id, flags
            let (parent, _) = caller.trace.as_ref()?;
            return parent.split('-').nth(1).map(|id| id.as_bytes().to_vec());
        }
        self.properties.get(&path.join(".")).map(|text| text.as_bytes().to_vec())
    }
}

/// Headers as a guest has them: names in lower case.
pub(super) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
}

/// Headers of a guest without pseudo headers, and without what belongs to a connection.
pub(super) fn headers(pairs: &Pairs) -> HeaderMap {
    const CONNECTION: [&str; 6] =
        ["connection", "content-length", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if name.starts_with(b":") {
            continue;
        }
        let header = HeaderName::from_bytes(name).ok().zip(HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = header.filter(|(name, _)| !CONNECTION.contains(&name.as_str())) {
            headers.append(name, value);
        }
    }
    headers
}

/// A pseudo header's text.
pub(super) fn pseudo<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key == name.as_bytes());
    found.and_then(|(_, value)| std::str::from_utf8(value).ok()).filter(|text| !text.is_empty())
}

/// The request of a `proxy_http_call`.
fn request(pairs: &Pairs, origin: &str, body: Bytes) -> Result<Request<Body>, CallError> {
    let path = pseudo(pairs, ":path").unwrap_or("/");
    let request = Request::builder()
        .method(pseudo(pairs, ":method").unwrap_or("GET"))
        .uri(format!("{origin}/{}", path.trim_start_matches('/')))
        .body(Body::full(body));
    let mut request = request.map_err(|error| CallError(format!("the request to '{path}': {error}")))?;
    *request.headers_mut() = headers(pairs);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Sidecar for Nothing {}

    fn reach(grants: Grants) -> Reach {
        Reach { sidecar: Arc::new(Nothing), grants, properties: BTreeMap::new(), body_limit: 1 << 20 }
    }

    #[test]
    fn upstreams_are_what_is_granted() {
        let grants = Grants {
            hosts: vec!["https://api.example.com".into()],
            invoke: vec!["shop/read".into()],
            ..Grants::default()
        };
        let reach = reach(grants);
        let caller = Caller { guest: "g".into(), plugin: "p".into(), depth: 0, trace: None };
        assert_eq!(reach.origin("API.example.com").as_deref(), Some("https://api.example.com"));
        assert!(reach.has_upstream(&caller, "dapr:shop"));
        for other in ["dapr:bank", "example.com", "http://api.example.com", "dapr:shopping"] {
            assert!(!reach.has_upstream(&caller, other), "{other}");
        }
        let missing = |upstream| reach.missing_upstream(upstream).unwrap_or_default();
        assert_eq!(missing("dapr:bank"), "add `invoke: [\"bank\"]` to its `grants`");
        assert_eq!(missing("Example.com"), "add `hosts: [\"https://example.com\"]` to its `grants`");
        assert_eq!(missing("http://api.example.com/"), "add `hosts: [\"http://api.example.com\"]` to its `grants`");
    }

    #[test]
    fn what_belongs_to_a_connection_stays_behind() {
        let pairs = [(":path", "/x"), ("te xt", "no"), ("Content-Length", "3"), ("two", "1"), ("two", "2")];
        let pairs = pairs.map(|(name, value)| (name.into(), value.into())).to_vec();
        let headers = headers(&pairs);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get_all("two").iter().count(), 2);
    }
}
