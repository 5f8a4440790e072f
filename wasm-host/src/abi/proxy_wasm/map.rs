//! Lists of pairs as guests and host exchange them.
//!
//! Little endian: the number of pairs; the lengths of key and value for each; then each key and value with a NUL behind
//! it. Nothing, or a single zero byte, is an empty list.

/// Pairs in order; keys may repeat.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The longest list, as in Envoy.
pub const MOST_BYTES: usize = 1 << 20;
const MOST_PAIRS: usize = 1024;

/// The bytes of a list.
pub fn encode(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_len(pairs));
    let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    bytes.extend_from_slice(&word(pairs.len()));
    for (key, value) in pairs {
        bytes.extend_from_slice(&word(key.len()));
        bytes.extend_from_slice(&word(value.len()));
    }
    for part in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(part);
        bytes.push(0);
    }
    bytes
}

/// How long [`encode`]'s bytes are.
pub fn encoded_len(pairs: &[(Vec<u8>, Vec<u8>)]) -> usize {
    4 + pairs.iter().map(|(key, value)| 8 + key.len() + 1 + value.len() + 1).sum::<usize>()
}

/// The list in `bytes`; `None` for what is none, or is too long.
pub fn decode(bytes: &[u8]) -> Option<Pairs> {
    if bytes.is_empty() || bytes == [0] {
        return Some(Pairs::new());
    }
    if bytes.len() > MOST_BYTES {
        return None;
    }
    let (count, rest) = word(bytes)?;
    if count > MOST_PAIRS {
        return None;
    }
    let (lengths, mut content) = rest.split_at_checked(count * 8)?;
    let mut pairs = Pairs::with_capacity(count);
    for both in lengths.chunks_exact(8) {
        let (key, both) = word(both)?;
        let (value, _) = word(both)?;
        let key = text(&mut content, key)?;
        let value = text(&mut content, value)?;
        pairs.push((key.to_vec(), value.to_vec()));
    }
    Some(pairs)
}

fn word(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*word)).ok()?, rest))
}

/// The next text of `content`, whose NUL is left out.
fn text<'a>(content: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (text, rest) = content.split_at_checked(length)?;
    let (nul, rest) = rest.split_first()?;
    *content = rest;
    (*nul == 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_is_that_of_the_sdks() {
        let pairs = vec![(b"a".to_vec(), b"bc".to_vec())];
        let bytes = b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0";
        assert_eq!(encode(&pairs), bytes);
        assert_eq!(decode(bytes), Some(pairs));
        assert_eq!((decode(b""), decode(b"\0")), (Some(Vec::new()), Some(Vec::new())));
    }

    #[test]
    fn what_lies_about_its_length_is_refused() {
        for bytes in [
            &b"\x01\0\0\0"[..],
            b"\x01\0\0\0\x09\0\0\0\x02\0\0\0a\0bc\0",
            b"\x01\0\0\0\xff\xff\xff\xff\x02\0\0\0a\0bc\0",
            b"\xff\xff\xff\xff\x01\0\0\0",
            b"\x01\0\0\0\x01\0\0\0\x02\0\0\0axbc\0",
            b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        let many = vec![(Vec::new(), Vec::new()); MOST_PAIRS + 1];
        assert_eq!(decode(&encode(&many)), None);
    }

    proptest! {
        #[test]
        fn lists_survive_and_noise_does_no_harm(
            pairs in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20),
            noise in any::<Vec<u8>>(),
        ) {
            let bytes = encode(&pairs);
            prop_assert_eq!(bytes.len(), encoded_len(&pairs));
            prop_assert_eq!(decode(&bytes), Some(pairs));
            let _ = decode(&noise);
        }
    }
}
