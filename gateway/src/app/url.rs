//! Paths and queries as Go's `net/url` and `path` treat them: what reaches the application depends on it.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// What Go escapes when a path must be escaped at all.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// What a query cannot hold in a request line.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^');

/// A `%` that begins no escape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape \"{0}\"")]
pub struct BadEscape(pub String);

/// Go's `path.Clean`: no doubled slashes, `.` and `..` resolved, no slash at the end; `.` for nothing.
pub fn clean(path: &str) -> Cow<'_, str> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let is_rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                if kept.last().is_some_and(|last| *last != "..") {
                    kept.pop();
                } else if !is_rooted {
                    kept.push("..");
                }
            }
            other => kept.push(other),
        }
    }
    let joined = kept.join("/");
    match (is_rooted, joined.is_empty()) {
        (true, _) => Cow::Owned(format!("/{joined}")),
        (false, true) => Cow::Borrowed("."),
        (false, false) => Cow::Owned(joined),
    }
}

fn is_clean(path: &str) -> bool {
    let relative = path.strip_prefix('/').unwrap_or(path);
    (!relative.is_empty() || path == "/")
        && (relative.is_empty() || !relative.split('/').any(|segment| matches!(segment, "" | "." | "..")))
}

/// A path with literal and escaped characters as Go's client sends it: unchanged when every character may stand in a
/// path, else decoded and escaped anew.
pub fn escape_path(path: &str) -> Result<Cow<'_, str>, BadEscape> {
    if let Some(escape) = bad_escape(path) {
        return Err(BadEscape(escape));
    }
    if path.bytes().all(may_stand) {
        return Ok(Cow::Borrowed(path));
    }
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    Ok(Cow::Owned(percent_encode(&bytes, PATH).to_string()))
}

fn may_stand(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*[]%".contains(&byte)
}

/// The first broken escape of a text.
pub fn bad_escape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'%', bytes.get(at..)?) {
        let start = at + found;
        let escape = &bytes[start..bytes.len().min(start + 3)];
        if escape.len() < 3 || !escape[1..].iter().all(u8::is_ascii_hexdigit) {
            return Some(String::from_utf8_lossy(escape).into_owned());
        }
        at = start + 3;
    }
    None
}

/// Path and query of a request: a slash in front of the path, the query without its question mark.
pub fn target(base: &str, path: &str, query: &str) -> Result<PathAndQuery, BadEscape> {
    let path = escape_path(path)?;
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    // A fragment never leaves the client.
    let query = query.split('#').next().unwrap_or_default();
    let text = match query.is_empty() {
        true => format!("{base}{slash}{path}"),
        false => format!("{base}{slash}{path}?{}", percent_encode(query.as_bytes(), QUERY)),
    };
    let text = if text.starts_with('/') { text } else { format!("/{text}") };
    PathAndQuery::try_from(text).map_err(|_| BadEscape(path.into_owned()))
}

/// The target of a delivery to the application: `path` may bring a query. What no URL can hold is escaped.
pub fn path_uri(path: &str) -> Uri {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = path.split('#').next().unwrap_or_default();
    let cleaned = clean(path);
    let path = if cleaned == "." { "" } else { &*cleaned };
    let escaped;
    let path = if bad_escape(path).is_some() {
        escaped = path.replace('%', "%25");
        &escaped
    } else {
        path
    };
    target("", path, query).map(Uri::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_is_gos() {
        for (path, cleaned) in [
            ("", "."),
            ("a/../..", ".."),
            ("a/b/../c", "a/c"),
            ("../../x", "../../x"),
            ("/../x", "/x"),
            ("a//b/./c/", "a/b/c"),
            ("/", "/"),
            ("/a", "/a"),
            ("a", "a"),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
    }

    #[test]
    fn paths_are_escaped_as_gos_client_does() {
        for (path, escaped) in [
            ("a b", "a%20b"),
            ("a%20b", "a%20b"),
            ("a%20b%2Fc", "a%20b%2Fc"),
            ("a;b=c,d:e@f!g$h'(i)*j~k", "a;b=c,d:e@f!g$h'(i)*j~k"),
            ("[x]\"q\"<>|", "%5Bx%5D%22q%22%3C%3E%7C"),
            ("a%2Fb c", "a/b%20c"),
            ("café", "caf%C3%A9"),
        ] {
            assert_eq!(escape_path(path).unwrap(), escaped, "{path:?}");
        }
        assert_eq!(escape_path("x%y").unwrap_err().to_string(), "invalid URL escape \"%y\"");
    }

    #[test]
    fn targets_have_a_slash_and_keep_the_query() {
        assert_eq!(target("", "a/b", "x=%zz").unwrap(), "/a/b?x=%zz");
        assert_eq!(target("", "", "").unwrap(), "/");
        assert_eq!(target("/base", "", "q=1").unwrap(), "/base?q=1");
        assert_eq!(target("/base/", "things", "").unwrap(), "/base//things");
        assert_eq!(target("", "/a", "b c#d").unwrap(), "/a?b%20c");
    }

    #[test]
    fn routes_become_uris() {
        assert_eq!(path_uri("orders/new?x=1").to_string(), "/orders/new?x=1");
        assert_eq!(path_uri("/100%").to_string(), "/100%25");
        assert_eq!(path_uri("").to_string(), "/");
    }
}
