//! The type of a body that came without one, by its first bytes (WHATWG's MIME sniffing, as Go has it).

use Signature::{Exact, Html, Masked, Mp4, Text};

/// How many bytes are looked at.
const WINDOW: usize = 512;

enum Signature {
    /// Behind white space, in any case, before a space or `>`.
    Html(&'static [u8]),
    Exact(&'static [u8], &'static str),
    /// `.` in the pattern stands for any byte. `true`: behind white space.
    Masked(&'static [u8], bool, &'static str),
    Mp4,
    Text,
}

const HTML: &str = "text/html; charset=utf-8";

const SIGNATURES: &[Signature] = &[
    Html(b"<!DOCTYPE HTML"),
    Html(b"<HTML"),
    Html(b"<HEAD"),
    Html(b"<SCRIPT"),
    Html(b"<IFRAME"),
    Html(b"<H1"),
    Html(b"<DIV"),
    Html(b"<FONT"),
    Html(b"<TABLE"),
    Html(b"<A"),
    Html(b"<STYLE"),
    Html(b"<TITLE"),
    Html(b"<B"),
    Html(b"<BODY"),
    Html(b"<BR"),
    Html(b"<P"),
    Html(b"<!--"),
    Masked(b"<?xml", true, "text/xml; charset=utf-8"),
    Exact(b"%PDF-", "application/pdf"),
    Exact(b"%!PS-Adobe-", "application/postscript"),
    Masked(b"\xFE\xFF..", false, "text/plain; charset=utf-16be"),
    Masked(b"\xFF\xFE..", false, "text/plain; charset=utf-16le"),
    Masked(b"\xEF\xBB\xBF.", false, "text/plain; charset=utf-8"),
    Exact(b"\x00\x00\x01\x00", "image/x-icon"),
    Exact(b"\x00\x00\x02\x00", "image/x-icon"),
    Exact(b"BM", "image/bmp"),
    Exact(b"GIF87a", "image/gif"),
    Exact(b"GIF89a", "image/gif"),
    Masked(b"RIFF....WEBPVP", false, "image/webp"),
    Exact(b"\x89PNG\x0D\x0A\x1A\x0A", "image/png"),
    Exact(b"\xFF\xD8\xFF", "image/jpeg"),
    Masked(b"FORM....AIFF", false, "audio/aiff"),
    Exact(b"ID3", "audio/mpeg"),
    Exact(b"OggS\x00", "application/ogg"),
    Exact(b"MThd\x00\x00\x00\x06", "audio/midi"),
    Masked(b"RIFF....AVI ", false, "video/avi"),
    Masked(b"RIFF....WAVE", false, "audio/wave"),
    Mp4,
    Exact(b"\x1A\x45\xDF\xA3", "video/webm"),
    Masked(b"..................................LP", false, "application/vnd.ms-fontobject"),
    Exact(b"\x00\x01\x00\x00", "font/ttf"),
    Exact(b"OTTO", "font/otf"),
    Exact(b"ttcf", "font/collection"),
    Exact(b"wOFF", "font/woff"),
    Exact(b"wOF2", "font/woff2"),
    Exact(b"\x1F\x8B\x08", "application/x-gzip"),
    Exact(b"PK\x03\x04", "application/zip"),
    Exact(b"Rar!\x1A\x07\x00", "application/x-rar-compressed"),
    Exact(b"Rar!\x1A\x07\x01\x00", "application/x-rar-compressed"),
    Exact(b"\x00\x61\x73\x6D", "application/wasm"),
    Text,
];

/// The type of a body that begins with `bytes`.
pub fn content_type(bytes: &[u8]) -> &'static str {
    let bytes = &bytes[..bytes.len().min(WINDOW)];
    let is_space = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    let text = &bytes[bytes.iter().take_while(|byte| is_space(byte)).count()..];
    SIGNATURES.iter().find_map(|signature| signature.find(bytes, text)).unwrap_or("application/octet-stream")
}

impl Signature {
    fn find(&self, bytes: &[u8], text: &[u8]) -> Option<&'static str> {
        match self {
            Html(tag) => {
                let begins = text.get(..tag.len()).is_some_and(|found| found.eq_ignore_ascii_case(tag));
                (begins && matches!(text.get(tag.len()), Some(b' ' | b'>'))).then_some(HTML)
            }
            Exact(pattern, kind) => bytes.starts_with(pattern).then_some(*kind),
            Masked(pattern, behind_space, kind) => {
                let bytes = if *behind_space { text } else { bytes };
                let found = bytes.get(..pattern.len())?;
                let fits = pattern.iter().zip(found).all(|(wanted, byte)| *wanted == b'.' || wanted == byte);
                fits.then_some(*kind)
            }
            Mp4 => is_mp4(bytes).then_some("video/mp4"),
            Text => {
                let is_binary = |byte: &u8| matches!(byte, 0x00..=0x08 | 0x0B | 0x0E..=0x1A | 0x1C..=0x1F);
                (!text.iter().any(is_binary)).then_some("text/plain; charset=utf-8")
            }
        }
    }
}

/// A box of type `ftyp` that names an `mp4` brand.
fn is_mp4(bytes: &[u8]) -> bool {
    let Some((size, _)) = bytes.split_first_chunk::<4>() else { return false };
    let size = u32::from_be_bytes(*size) as usize;
    if bytes.len() < 12 || bytes.len() < size || !size.is_multiple_of(4) || &bytes[4..8] != b"ftyp" {
        return false;
    }
    (8..size).step_by(4).any(|at| at != 12 && bytes.get(at..at + 3) == Some(b"mp4"))
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn types_are_gos() {
        for (bytes, kind) in [
            (&b"plain words"[..], "text/plain; charset=utf-8"),
            (b"{\"a\":1}", "text/plain; charset=utf-8"),
            (b"  <html>", "text/html; charset=utf-8"),
            (b"<h1", "text/plain; charset=utf-8"),
            (b"\n<?xml version", "text/xml; charset=utf-8"),
            (b"\x00\xff", "application/octet-stream"),
            (b"\x89PNG\x0D\x0A\x1A\x0A....", "image/png"),
            (b"RIFF1234WEBPVP", "image/webp"),
            (b"\x00\x00\x00\x10ftypmp42\x00\x00\x00\x00", "video/mp4"),
            (b"\x1F\x8B\x08\x00", "application/x-gzip"),
        ] {
            assert_eq!(content_type(bytes), kind, "{bytes:?}");
        }
    }
}
