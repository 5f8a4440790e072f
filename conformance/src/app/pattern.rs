//! Bytes that can be made again: bodies of any length, and their checksums.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

const BLOCK: usize = 64 * 1024;

/// A body of `length` bytes, no two blocks of which are equal.
pub struct Pattern {
    template: Bytes,
    at: u64,
    length: u64,
    tells_length: bool,
}

impl Pattern {
    /// With its length told in advance (`content-length`), or not (chunks).
    pub fn new(length: u64, tells_length: bool) -> Self {
        let template: Vec<u8> = (0..BLOCK).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect();
        Self { template: template.into(), at: 0, length, tells_length }
    }

    fn next(&mut self) -> Option<Bytes> {
        let left = usize::try_from(self.length - self.at).unwrap_or(BLOCK).min(BLOCK);
        if left == 0 {
            return None;
        }
        let mut block = BytesMut::from(&self.template[..left]);
        let number = self.at.to_be_bytes();
        let marked = left.min(number.len());
        block[..marked].copy_from_slice(&number[..marked]);
        self.at += left as u64;
        Some(block.freeze())
    }
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|block| Ok(Frame::data(block))))
    }

    fn is_end_stream(&self) -> bool {
        self.at == self.length
    }

    fn size_hint(&self) -> SizeHint {
        if self.tells_length { SizeHint::with_exact(self.length - self.at) } else { SizeHint::default() }
    }
}

/// Length and SHA-256 of what goes by.
pub struct Checksum {
    context: digest::Context,
    length: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { context: digest::Context::new(&digest::SHA256), length: 0 }
    }
}

impl Checksum {
    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// `<length> <SHA-256 in hex>`.
    pub fn text(self) -> String {
        format!("{} {}", self.length, hex::encode(self.context.finish()))
    }
}

/// The checksum of a [`Pattern`] of this length.
pub fn checksum_of(length: u64) -> String {
    let (mut pattern, mut checksum) = (Pattern::new(length, true), Checksum::default());
    while let Some(block) = pattern.next() {
        checksum.add(&block);
    }
    checksum.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_and_blocks_differ() {
        let mut pattern = Pattern::new(BLOCK as u64 * 2 + 5, true);
        let blocks: Vec<Bytes> = std::iter::from_fn(|| pattern.next()).collect();
        assert_eq!(blocks.iter().map(Bytes::len).collect::<Vec<_>>(), [BLOCK, BLOCK, 5]);
        assert_ne!(blocks[0], blocks[1]);
        assert!(checksum_of(5).starts_with("5 "));
        assert_ne!(checksum_of(5), checksum_of(6));
    }
}
