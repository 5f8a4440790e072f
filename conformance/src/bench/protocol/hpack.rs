//! Header blocks of HTTP/2 (HPACK, RFC 7541) without the dynamic table: none is offered to the peer, and none is used
//! towards it, so that a block means the same at any time.

use super::huffman;

/// The fields that have a number, from 1.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// Appends a field that the peer need not keep, uncompressed.
pub fn encode(name: &str, value: &str, block: &mut Vec<u8>) {
    if let Some(place) = STATIC.iter().position(|known| *known == (name, value) && !value.is_empty()) {
        block.push(0x80 | u8::try_from(place + 1).unwrap_or(0));
        return;
    }
    block.push(0);
    for part in [name, value] {
        encode_length(part.len(), block);
        block.extend_from_slice(part.as_bytes());
    }
}

fn encode_length(length: usize, block: &mut Vec<u8>) {
    if length < 127 {
        block.push(u8::try_from(length).unwrap_or(0));
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push(0x80 | u8::try_from(rest % 128).unwrap_or(0));
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap_or(0));
}

/// Reads blocks.
#[derive(Debug, Default)]
pub struct Decoder {
    huffman: huffman::Decoder,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// Hands each field of a block to `field`, name and value.
    ///
    /// # Errors
    /// It is no block, or one that leans on the table that was not offered.
    pub fn decode(&mut self, mut block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), String> {
        while let Some(first) = block.first().copied() {
            if first & 0x80 != 0 {
                let (name, value) = known(number(&mut block, 7)?)?;
                field(name.as_bytes(), value.as_bytes());
                continue;
            }
            if first & 0xe0 == 0x20 {
                // The size of the table, which can only be 0.
                number(&mut block, 5)?;
                continue;
            }
            // Literals: to be kept (6 bits of index), not to be kept, never to be kept (4 bits).
            let place = number(&mut block, if first & 0x40 != 0 { 6 } else { 4 })?;
            self.name.clear();
            if place == 0 {
                string(&mut block, &self.huffman, &mut self.name)?;
            } else {
                self.name.extend_from_slice(known(place)?.0.as_bytes());
            }
            self.value.clear();
            string(&mut block, &self.huffman, &mut self.value)?;
            field(&self.name, &self.value);
        }
        Ok(())
    }
}

fn known(place: usize) -> Result<(&'static str, &'static str), String> {
    let found = place.checked_sub(1).and_then(|place| STATIC.get(place)).copied();
    found.ok_or_else(|| format!("the peer uses field {place} of a table that was not offered"))
}

fn number(block: &mut &[u8], bits: u32) -> Result<usize, String> {
    let short = || "a header block ends too early".to_owned();
    let most = (1_usize << bits) - 1;
    let (first, rest) = block.split_first().ok_or_else(short)?;
    *block = rest;
    let mut value = usize::from(*first) & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let (byte, rest) = block.split_first().ok_or_else(short)?;
        *block = rest;
        value += usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of a header block is too large".to_owned())
}

fn string(block: &mut &[u8], huffman: &huffman::Decoder, out: &mut Vec<u8>) -> Result<(), String> {
    let coded = block.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = number(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or("a header block ends too early")?;
    *block = rest;
    if coded {
        huffman.decode(text, out)?;
    } else {
        out.extend_from_slice(text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(block: &[u8]) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Decoder::default().decode(block, |name, value| found.push((text(name), text(value))))?;
        Ok(found)
    }

    #[test]
    fn what_was_encoded_is_read_again() {
        let (long, mut block) = ("x".repeat(1000), Vec::new());
        let wanted = [(":method", "POST"), (":path", "/a"), ("grpc-status", "0"), ("content-type", ""), ("y", &long)];
        wanted.iter().for_each(|(name, value)| encode(name, value, &mut block));
        let found = fields(&block).unwrap();
        assert_eq!(found.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn the_rfcs_literals_are_read() {
        // A size of the table, an indexed status, RFC 7541 C.2.1 (to be kept), C.2.2 (not), C.2.3 (never).
        let block = [
            &b"\x20\x88\x40\x0acustom-key\x0dcustom-header"[..],
            b"\x04\x0c/sample/path",
            b"\x10\x08password\x06secret",
        ]
        .concat();
        let found = fields(&block).unwrap();
        let wanted =
            [(":status", "200"), ("custom-key", "custom-header"), (":path", "/sample/path"), ("password", "secret")];
        assert_eq!(found.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_field_of_the_dynamic_table_is_an_error() {
        assert!(fields(&[0x80 | 62]).unwrap_err().contains("not offered"));
        assert!(fields(&[0x00, 0x05, b'a']).unwrap_err().contains("too early"));
    }
}
