//! Where text stops to stand for itself.

/// Bytes that are looked at together, which a processor does at once.
const WIDTH: usize = 32;

/// How many bytes at the start are none of the `special` ones, which are told without a branch: `|` in place of `||`.
pub(super) fn plain(bytes: &[u8], special: impl Fn(u8) -> bool) -> usize {
    let has_special = |chunk: &&[u8]| chunk.iter().fold(false, |any, byte| any | special(*byte));
    let done = WIDTH * bytes.chunks_exact(WIDTH).take_while(|chunk| !has_special(chunk)).count();
    let rest = &bytes[done..];
    done + rest.iter().position(|byte| special(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_is() {
        for length in 0..100 {
            let text = vec![b'x'; length];
            assert_eq!(plain(&text, |byte| byte == b'"'), length);
            for at in 0..length {
                let mut text = text.clone();
                text[at] = b'"';
                text[length - 1] = b'"';
                assert_eq!(plain(&text, |byte| byte == b'"'), at);
            }
        }
    }
}
