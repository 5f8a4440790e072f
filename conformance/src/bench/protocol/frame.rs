//! Frames of HTTP/2 (RFC 9113).

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's head.
pub const HEAD: usize = 9;
/// The longest payload that every peer takes.
pub const MOST: usize = 16384;
/// The windows that every connection and stream begins with.
pub const WINDOW: i64 = 65535;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

pub const HEADER_TABLE_SIZE: u16 = 1;
pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// A whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`, when it is all there, and its length.
    ///
    /// # Errors
    /// It is longer than was agreed.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, String> {
        let Some((&[a, b, c, kind, flags, s, t, u, v], rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if length > MOST {
            return Err(format!("a frame of {length} bytes, or no HTTP/2 at all"));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let stream = u32::from_be_bytes([s & 0x7f, t, u, v]);
        Ok(Some((Self { kind, flags, stream, payload }, HEAD + length)))
    }

    /// The payload without padding and priority, of a frame that may have them.
    ///
    /// # Errors
    /// It has not got what its flags say.
    pub fn content(&self) -> Result<&'a [u8], String> {
        let mut content = self.payload;
        let mut padding = 0;
        if self.flags & PADDED != 0 {
            let (first, rest) = content.split_first().ok_or("an empty padded frame")?;
            (padding, content) = (usize::from(*first), rest);
        }
        if self.kind == HEADERS && self.flags & PRIORITY != 0 {
            content = content.get(5..).ok_or("a priority that is too short")?;
        }
        let length = content.len().checked_sub(padding).ok_or("more padding than frame")?;
        Ok(&content[..length])
    }

    /// The four bytes at `at` of the payload; 0 when they are not there.
    pub fn number(&self, at: usize) -> u32 {
        self.payload.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    /// The settings of a frame of that kind.
    pub fn settings(&self) -> impl Iterator<Item = (u16, u32)> + 'a {
        let entries = self.payload.as_chunks::<6>().0.iter();
        entries.map(|&[a, b, c, d, e, f]| (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f])))
    }
}

/// Appends the head of a frame whose payload, at most [`MOST`] bytes, follows.
pub fn head(kind: u8, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    let [.., a, b, c] = (length as u64).to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Appends a frame.
pub fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    head(kind, flags, stream, payload.len(), out);
    out.extend_from_slice(payload);
}

/// Appends settings.
pub fn settings(entries: &[(u16, u32)], out: &mut Vec<u8>) {
    head(SETTINGS, 0, 0, entries.len() * 6, out);
    for (name, value) in entries {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_once_it_is_whole() {
        let mut bytes = Vec::new();
        write(DATA, END_STREAM, 7, b"hello", &mut bytes);
        settings(&[(INITIAL_WINDOW_SIZE, 1 << 20)], &mut bytes);
        assert_eq!(Frame::read(&bytes[..13]), Ok(None));
        let (frame, length) = Frame::read(&bytes).unwrap().unwrap();
        assert_eq!(frame, Frame { kind: DATA, flags: END_STREAM, stream: 7, payload: b"hello" });
        let (frame, _) = Frame::read(&bytes[length..]).unwrap().unwrap();
        assert_eq!(frame.settings().collect::<Vec<_>>(), [(INITIAL_WINDOW_SIZE, 1 << 20)]);
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let frame = Frame { kind: HEADERS, flags: PADDED | PRIORITY, stream: 1, payload: b"\x02\0\0\0\0\x10block\0\0" };
        assert_eq!(frame.content(), Ok(&b"block"[..]));
        assert!(Frame { payload: b"\x09\0\0\0\0\0ab", ..frame }.content().is_err());
        assert!(Frame::read(b"HTTP/1.1 400 Bad Request").is_err());
    }
}
