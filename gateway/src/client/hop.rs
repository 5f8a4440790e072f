//! Headers that concern one connection and are not passed on (RFC 9110, section 7.6.1).

use http::HeaderMap;
use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

const HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("http2-settings"),
    TE,
    TRAILER,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
];

/// Whether a header is one of those that never pass on.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
}

/// Takes out what concerns only the connection: the known headers, and those that `Connection` names.
pub fn strip(headers: &mut HeaderMap) {
    if let Some(named) = headers.get(CONNECTION).cloned() {
        let more: Vec<_> = headers.get_all(CONNECTION).iter().skip(1).cloned().collect();
        for line in std::iter::once(named).chain(more) {
            for name in line.as_bytes().split(|byte| *byte == b',') {
                if let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) {
                    headers.remove(name);
                }
            }
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn named_and_known_headers_go() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-drop, keep-alive"),
            ("connection", "x-too"),
            ("x-drop", "1"),
            ("x-too", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("proxy-authorization", "Basic x"),
            ("http2-settings", "AA"),
            ("x-keep", "3"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-keep"]);
    }
}
