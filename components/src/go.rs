//! Texts of Go's standard library that daprd's components pass on, and that clients therefore see.

/// Go's `strconv.Atoi` (or `ParseInt`, by `function`) with its error text.
pub fn parse_int(function: &str, text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.{function}: parsing {}: invalid syntax", quote(text)));
    }
    text.parse().map_err(|_| format!("strconv.{function}: parsing {}: value out of range", quote(text)))
}

/// Go's `strconv.Quote`.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if !printable(c) && (c as u32) < 0x10000 => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c if !printable(c) => quoted.push_str(&format!("\\U{:08x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn printable(c: char) -> bool {
    !c.is_control() && (c == ' ' || !c.is_whitespace()) && !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// Go's `%v` of a `float64`: the shortest digits, with an exponent from 1e+06 (and below 1e-04) on.
pub fn format_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..6).contains(&exponent) => format!("{number}"),
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}

/// Go's text for a file that could not be opened.
pub fn open_error(path: &std::path::Path, error: &std::io::Error) -> String {
    path_error("open", path, error)
}

/// Go's `PathError` text: the operation, the path and the reason in lower case.
pub fn path_error(operation: &str, path: &std::path::Path, error: &std::io::Error) -> String {
    let reason = match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    };
    format!("{operation} {}: {reason}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_fail_with_the_texts_of_strconv() {
        assert_eq!(parse_int("Atoi", "+5"), Ok(5));
        assert_eq!(parse_int("Atoi", "-12"), Ok(-12));
        let cases = [
            ("soon", r#"strconv.Atoi: parsing "soon": invalid syntax"#),
            ("", r#"strconv.Atoi: parsing "": invalid syntax"#),
            ("+-1", r#"strconv.Atoi: parsing "+-1": invalid syntax"#),
            ("99999999999999999999", r#"strconv.Atoi: parsing "99999999999999999999": value out of range"#),
            ("a\"b\nc\u{1}é\u{2028}", "strconv.Atoi: parsing \"a\\\"b\\nc\\x01é\\u2028\": invalid syntax"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_int("Atoi", text).unwrap_err(), expected);
        }
    }

    #[test]
    fn floats_print_as_in_go() {
        let cases = [
            (5.0, "5"),
            (1.5, "1.5"),
            (1e6, "1e+06"),
            (123456789.0, "1.23456789e+08"),
            (1e21, "1e+21"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (100000.0, "100000"),
            (1234567.0, "1.234567e+06"),
            (20.25e9, "2.025e+10"),
            (-0.0, "-0"),
            (-1e300, "-1e+300"),
        ];
        for (number, expected) in cases {
            assert_eq!(format_float(number), expected);
        }
    }

    #[test]
    fn a_missing_file_reads_as_in_go() {
        let error = std::io::Error::from_raw_os_error(2);
        assert_eq!(open_error(std::path::Path::new("/x"), &error), "open /x: no such file or directory");
    }
}
