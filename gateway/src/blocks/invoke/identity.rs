//! What a call to another sidecar says about where it comes from (as daprd 1.18).

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName, HeaderValue};

use super::headers::{CALLEE_APP, CALLER_APP, CALLER_NAMESPACE, DESTINATION};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// This sidecar, as others see it; the values are made once.
pub struct Identity {
    app_id: Option<HeaderValue>,
    namespace: Option<HeaderValue>,
    /// Appended to what earlier hops have left.
    forwarded: Vec<(HeaderName, HeaderValue)>,
}

impl Identity {
    pub fn new(app_id: &str, namespace: &str, host_address: &str, host_name: &str) -> Self {
        let host_address = host_address.trim_start_matches('[').trim_end_matches(']');
        let mut forwarded = Vec::new();
        let mut parts = Vec::new();
        if !host_address.is_empty() {
            forwarded.push((X_FORWARDED_FOR, host_address.to_owned()));
            // RFC 7239 wants IPv6 in brackets and quotes.
            let node =
                if host_address.contains(':') { format!("\"[{host_address}]\"") } else { host_address.to_owned() };
            parts.push(format!("for={node};by={node}"));
        }
        if !host_name.is_empty() {
            forwarded.push((X_FORWARDED_HOST, host_name.to_owned()));
            parts.push(format!("host={host_name}"));
        }
        forwarded.push((FORWARDED, parts.join(";")));
        let forwarded = forwarded
            .into_iter()
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
            .collect();
        Self { app_id: HeaderValue::from_str(app_id).ok(), namespace: HeaderValue::from_str(namespace).ok(), forwarded }
    }

    /// Names caller and callee, over what the caller's client may have claimed.
    pub fn put_names(&self, headers: &mut HeaderMap, target_id: &str) {
        if let Some(app_id) = &self.app_id {
            headers.insert(CALLER_APP, app_id.clone());
        }
        if let Ok(target_id) = HeaderValue::from_str(target_id) {
            headers.insert(CALLEE_APP, target_id);
        }
    }

    /// The same for an invocation, which brings the namespace and the hop as well.
    pub fn put(&self, headers: &mut HeaderMap, target_id: &str) {
        self.put_names(headers, target_id);
        if let Some(namespace) = &self.namespace {
            headers.insert(CALLER_NAMESPACE, namespace.clone());
        }
        if let Some(target_id) = headers.get(CALLEE_APP).cloned() {
            headers.insert(DESTINATION, target_id);
        }
        for (name, value) in &self.forwarded {
            headers.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_replace_claims_and_hops_add_up() {
        let identity = Identity::new("me", "ns", "fe80::1", "host");
        let mut headers = HeaderMap::new();
        headers.insert(CALLER_APP, HeaderValue::from_static("forged"));
        headers.insert(FORWARDED, HeaderValue::from_static("for=10.0.0.1"));
        identity.put(&mut headers, "you");
        assert_eq!(headers[CALLER_APP], "me");
        assert_eq!(headers[CALLEE_APP], "you");
        assert_eq!(headers[CALLER_NAMESPACE], "ns");
        let hops: Vec<_> = headers.get_all(FORWARDED).iter().map(|hop| hop.to_str().unwrap()).collect();
        assert_eq!(hops, ["for=10.0.0.1", "for=\"[fe80::1]\";by=\"[fe80::1]\";host=host"]);
    }
}
