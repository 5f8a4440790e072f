//! Quantities in the syntax of Kubernetes: `4Mi`, `1k`, `0.5Gi`, `1e3`.

/// A text that is no quantity of bytes; the texts are those that daprd prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    #[error("unable to parse quantity's suffix")]
    Suffix,
    #[error("cannot get bytes from resource quantity value '{0}'")]
    NotWhole(String),
}

/// The number of bytes that `text` means. A fraction of a byte is an error.
pub fn parse_bytes(text: &str) -> Result<i64, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Format);
    }
    let (negative, rest) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) || !is_suffix_like(suffix) {
        return Err(QuantityError::Format);
    }
    let not_whole = || QuantityError::NotWhole(text.to_owned());
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| not_whole())?;
    let scale = i128::try_from(fraction.len()).map_err(|_| not_whole())?;
    let (factor, power) = factor(suffix).ok_or(QuantityError::Suffix)?;
    let power = i128::from(power) - scale;
    let scaled = digits.checked_mul(factor).ok_or_else(not_whole)?;
    let ten = |power: i128| u32::try_from(power).ok().and_then(|power| 10i128.checked_pow(power)).ok_or_else(not_whole);
    let value = if scaled == 0 {
        0
    } else if power >= 0 {
        scaled.checked_mul(ten(power)?).ok_or_else(not_whole)?
    } else {
        let divisor = ten(-power)?;
        if scaled % divisor != 0 {
            return Err(not_whole());
        }
        scaled / divisor
    };
    i64::try_from(if negative { -value } else { value }).map_err(|_| not_whole())
}

/// Whether `suffix` is made like one: letters of the known ones, then maybe a signed number.
fn is_suffix_like(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// A suffix as a factor and a power of ten.
fn factor(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        _ => (1, suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes() {
        for (text, bytes) in [
            ("0", 0),
            ("4Mi", 4 << 20),
            ("1k", 1_000),
            ("1Ki", 1_024),
            ("0.5Gi", 1 << 29),
            ("1e3", 1_000),
            ("1E", 1_000_000_000_000_000_000),
            ("2000m", 2),
            ("-1", -1),
            ("+5.", 5),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn other_texts_are_errors() {
        for text in ["", "huge", "1.2.3", "Mi", "5 Mi", "1MiB"] {
            assert_eq!(parse_bytes(text), Err(QuantityError::Format), "{text}");
        }
        assert_eq!(parse_bytes("1Kim"), Err(QuantityError::Suffix));
        assert!(matches!(parse_bytes("1.5"), Err(QuantityError::NotWhole(_))));
        assert!(matches!(parse_bytes("100Ei"), Err(QuantityError::NotWhole(_))));
    }
}
