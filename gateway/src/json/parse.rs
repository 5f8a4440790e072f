//! A JSON parser whose errors are the texts of Go's `encoding/json`.

use std::collections::BTreeMap;
use std::fmt;

use super::Json;
use super::plain::plain;

/// Nesting that is still read. Go reads 10 000 levels; here each takes stack, of which a thread has 2 MiB, and nobody
/// nests documents so deep who means well.
const MAX_DEPTH: usize = 1000;

/// What Go says about text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyntaxError {
    /// Nothing but white space.
    Eof,
    /// The text ends inside a value.
    UnexpectedEof,
    /// A character that cannot stand there.
    Invalid(String),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eof => f.write_str("EOF"),
            Self::UnexpectedEof => f.write_str("unexpected EOF"),
            Self::Invalid(text) => f.write_str(text),
        }
    }
}

impl SyntaxError {
    /// The wording of Go's `json.Unmarshal`, which knows no stream.
    pub fn unmarshal_text(&self) -> String {
        match self {
            Self::Eof | Self::UnexpectedEof => "unexpected end of JSON input".to_owned(),
            Self::Invalid(text) => text.clone(),
        }
    }
}

/// The first value of a stream; what follows it is not looked at (Go's `Decoder.Decode`).
pub fn parse_first(text: &[u8]) -> Result<Json, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    if parser.at == text.len() {
        return Err(SyntaxError::Eof);
    }
    parser.value()
}

/// One value and nothing else but white space (Go's `json.Unmarshal`).
pub fn parse_whole(text: &[u8]) -> Result<Json, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    if parser.at == text.len() {
        return Err(SyntaxError::UnexpectedEof);
    }
    let value = parser.value()?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.invalid("after top-level value"));
    }
    Ok(value)
}

/// Where reading stops: the offset of the first byte that cannot stand there, or the text's length.
pub fn error_offset(text: &[u8]) -> usize {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    if parser.value().is_ok() {
        parser.space();
    }
    parser.at
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Result<u8, SyntaxError> {
        self.text.get(self.at).copied().ok_or(SyntaxError::UnexpectedEof)
    }

    /// The error for the character at hand. Go's scanner works on bytes, so a multi-byte character shows as its first.
    fn invalid(&self, context: &str) -> SyntaxError {
        match self.text.get(self.at) {
            None => SyntaxError::UnexpectedEof,
            Some(byte) => SyntaxError::Invalid(format!("invalid character {} {context}", quote(*byte))),
        }
    }

    fn value(&mut self) -> Result<Json, SyntaxError> {
        match self.peek()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string().map(Json::String),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            b'n' => self.literal("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.invalid("looking for beginning of value")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json, SyntaxError>) -> Result<Json, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.invalid("exceeded max depth"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, SyntaxError> {
        for (index, expected) in word.bytes().enumerate() {
            if self.peek()? != expected {
                debug_assert!(index > 0);
                return Err(self.invalid(&format!("in literal {word} (expecting {})", quote(expected))));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Json, SyntaxError> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
            if !self.peek()?.is_ascii_digit() {
                return Err(self.invalid("in numeric literal"));
            }
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits();
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !self.peek()?.is_ascii_digit() {
                return Err(self.invalid("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek()?, b'+' | b'-') {
                self.at += 1;
            }
            if !self.peek()?.is_ascii_digit() {
                return Err(self.invalid("in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(Json::Number(String::from_utf8_lossy(&self.text[start..self.at]).into_owned()))
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn array(&mut self) -> Result<Json, SyntaxError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.space();
            items.push(self.value()?);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                _ => return Err(self.invalid("after array element")),
            }
        }
    }

    fn object(&mut self) -> Result<Json, SyntaxError> {
        self.at += 1;
        let mut members = BTreeMap::new();
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek()? != b'"' {
                return Err(self.invalid("looking for beginning of object key string"));
            }
            let name = self.string()?;
            self.space();
            if self.peek()? != b':' {
                return Err(self.invalid("after object key"));
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            members.insert(name, value);
            self.space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.invalid("after object key:value pair")),
            }
        }
    }

    /// A string; invalid UTF-8 and lone surrogates become U+FFFD, as in Go.
    fn string(&mut self) -> Result<String, SyntaxError> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(match String::from_utf8(bytes) {
                        Ok(text) => text,
                        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
                    });
                }
                b'\\' => {
                    self.at += 1;
                    self.escape(&mut bytes)?;
                }
                0..0x20 => return Err(self.invalid("in string literal")),
                _ => {
                    let rest = &self.text[self.at..];
                    let run = plain(rest, |byte| (byte == b'"') | (byte == b'\\') | (byte < 0x20));
                    bytes.extend_from_slice(&rest[..run]);
                    self.at += run;
                }
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let plain = match self.peek()? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.at += 1;
                let first = self.hex4()?;
                let character = match first {
                    0xd800..0xdc00 => self.low_surrogate(first)?,
                    _ => char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                };
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.invalid("in string escape code")),
        };
        bytes.push(plain);
        self.at += 1;
        Ok(())
    }

    fn low_surrogate(&mut self, high: u32) -> Result<char, SyntaxError> {
        if self.text.get(self.at) == Some(&b'\\') && self.text.get(self.at + 1) == Some(&b'u') {
            let back = self.at;
            self.at += 2;
            let low = self.hex4()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = (self.peek()? as char).to_digit(16) else {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// Go's `quoteChar`: the byte as a character in single quotes.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        7 => r"'\a'".to_owned(),
        8 => r"'\b'".to_owned(),
        12 => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        11 => r"'\v'".to_owned(),
        0..0x20 | 0x7f => format!(r"'\x{byte:02x}'"),
        0x20..0x7f => format!("'{}'", byte as char),
        // Go treats the byte as a code point: printable Latin-1 characters show, the others are escaped.
        0xa1..=0xac | 0xae..=0xff => format!("'{}'", byte as char),
        _ => format!(r"'\u{byte:04x}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_first(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_are_worded_as_go_words_them() {
        assert_eq!(error("  "), "EOF");
        assert_eq!(error("{"), "unexpected EOF");
        assert_eq!(error("[1,]"), "invalid character ']' looking for beginning of value");
        assert_eq!(error("{a}"), "invalid character 'a' looking for beginning of object key string");
        assert_eq!(error(r#"{"a" 1}"#), "invalid character '1' after object key");
        assert_eq!(error("[1 2]"), "invalid character '2' after array element");
        assert_eq!(error("tru"), "unexpected EOF");
        assert_eq!(error("trux"), "invalid character 'x' in literal true (expecting 'e')");
        assert_eq!(error("\"\u{1}\""), r"invalid character '\x01' in string literal");
        assert_eq!(error(r#""\N""#), "invalid character 'N' in string escape code");
        assert_eq!(error("\0"), r"invalid character '\x00' looking for beginning of value");
    }

    #[test]
    fn nesting_ends_before_the_stack_does() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let small_stack = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
            let deepest = parse_whole(nested(MAX_DEPTH).as_bytes()).unwrap();
            assert_eq!(deepest.clone().to_text(), nested(MAX_DEPTH));
            assert_eq!(deepest.to_exact_text(), nested(MAX_DEPTH));
            assert!(serde_json::Value::from(&deepest).is_array());
            assert_eq!(error(&nested(12_000)), "invalid character '[' exceeded max depth");
        });
        small_stack.unwrap().join().unwrap();
    }

    #[test]
    fn only_the_first_value_of_a_stream_counts() {
        assert_eq!(parse_first(b"[] x"), Ok(Json::Array(vec![])));
        assert_eq!(
            parse_whole(b"[] x"),
            Err(SyntaxError::Invalid("invalid character 'x' after top-level value".into()))
        );
    }

    #[test]
    fn surrogates_pair_up_or_are_replaced() {
        assert_eq!(parse_whole(br#""\ud83d\ude00""#), Ok(Json::String("\u{1f600}".into())));
        assert_eq!(parse_whole(br#""\ud83dx""#), Ok(Json::String("\u{fffd}x".into())));
    }
}
