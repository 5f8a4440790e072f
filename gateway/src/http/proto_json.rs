//! Bodies that daprd reads as protobuf JSON: an object, or nothing at all; unknown members do not matter.

use std::collections::BTreeMap;

use crate::error::{ApiError, table};
use crate::json::{Json, SyntaxError, parse_whole};

/// The members of a body; none for an empty one.
pub fn object(body: &[u8]) -> Result<BTreeMap<String, Json>, ApiError> {
    if body.is_empty() {
        return Ok(BTreeMap::new());
    }
    match parse_whole(body) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(other) => {
            let token = other.to_text();
            Err(unexpected(body, token.split([',', ':']).next().unwrap_or(&token)))
        }
        Err(SyntaxError::Eof | SyntaxError::UnexpectedEof) => Err(table::common::malformed("proto: unexpected EOF")),
        Err(SyntaxError::Invalid(_)) => Err(invalid(body)),
    }
}

fn unexpected(body: &[u8], token: &str) -> ApiError {
    let column = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count() + 1;
    table::common::malformed(&format!("proto: syntax error (line 1:{column}): unexpected token {token}"))
}

/// The place and the token that Go's protobuf JSON reader stops at.
fn invalid(body: &[u8]) -> ApiError {
    let text = String::from_utf8_lossy(body);
    let at = crate::json::error_offset(body).min(text.len());
    let before = &body[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    let token: String = String::from_utf8_lossy(&body[at..])
        .chars()
        .take_while(|character| character.is_alphanumeric() || matches!(character, '_' | '-' | '.'))
        .collect();
    let token = if token.is_empty() { String::from_utf8_lossy(&body[at..]).chars().take(1).collect() } else { token };
    table::common::malformed(&format!("proto: syntax error (line {line}:{column}): invalid value {token}"))
}
