//! Bytes as a table writes them.

/// The bytes of a text of a table: each character is one byte (so `\xff` of YAML is the byte 255), and `<a*70000>` is
/// `a` so many times. `{http}` and the like are not touched.
///
/// # Errors
///
/// A character that is no byte, or a count that is none.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        out.extend(latin1(&rest[..at])?);
        let tail = &rest[at + 1..];
        let repeat = tail.find('>').and_then(|end| {
            let (unit, count) = tail[..end].rsplit_once('*')?;
            let count: usize = count.parse().ok()?;
            (!unit.is_empty() && !unit.contains('<')).then_some((unit, count, end))
        });
        match repeat {
            Some((unit, count, end)) => {
                out.extend(latin1(unit)?.repeat(count));
                rest = &tail[end + 1..];
            }
            None => {
                out.push(b'<');
                rest = tail;
            }
        }
    }
    out.extend(latin1(rest)?);
    Ok(out)
}

fn latin1(text: &str) -> Result<Vec<u8>, String> {
    text.chars().map(|one| u8::try_from(one).map_err(|_| format!("{one:?} is not one byte"))).collect()
}

/// The text that [`bytes`] turns into `bytes`, but for repetitions. UTF-8 stays readable.
pub fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_bytes_and_repeats_are_many() {
        assert_eq!(bytes("a\u{ff}\0<b*3>c").unwrap(), b"a\xff\0bbbc");
        assert_eq!(bytes("<x> < 1*2 <ab*2>").unwrap(), b"<x> < 1*2 abab");
        assert!(bytes("\u{20ac}").is_err());
    }
}
