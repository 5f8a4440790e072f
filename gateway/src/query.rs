//! Query strings as Go reads them.

use percent_encoding::percent_decode_str;

/// The pairs of a query string, unescaped; broken ones are left out, as Go does.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((query_unescape(key).ok()?, query_unescape(value).ok()?))
    })
}

/// Go's `url.QueryUnescape`. The error is the broken escape.
pub fn query_unescape(text: &str) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'%', &bytes[at..]) {
        let start = at + found;
        let escape = &bytes[start..bytes.len().min(start + 3)];
        if escape.len() < 3 || !escape[1..].iter().all(u8::is_ascii_hexdigit) {
            return Err(String::from_utf8_lossy(escape).into_owned());
        }
        at = start + 3;
    }
    let spaced = text.replace('+', " ");
    Ok(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}
