//! The process environment as a value, so that tests and several gateways in one process can each have their own.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables by name. Values never print: some are tokens.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// What the process was started with. Names and values that are no UTF-8 are left out.
    pub fn of_process() -> Self {
        Self::new(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    pub fn new(variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The value of `name` when it is set, empty or not.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The value of `name` unless it is unset or empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The value of the first of `names` that is neither unset nor empty.
    pub fn first_non_empty(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.non_empty(name))
    }

    /// `NAMESPACE`: `None` when unset or empty, which means that resources of every namespace belong to this app.
    pub fn namespace(&self) -> Option<&str> {
        self.non_empty("NAMESPACE")
    }

    /// Sets a variable in this value only; the process's own environment does not change.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.variables.insert(name.into(), value.into());
    }

    /// All variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Replaces `$NAME` and `${NAME}` by the variable's value, an unset one by nothing, as Go's `os.ExpandEnv` does.
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let (name, consumed) = shell_name(&rest[at + 1..]);
            match name {
                Some(name) => out.push_str(self.get(name).unwrap_or_default()),
                // "$" followed by nothing usable stays; "${}" and an unclosed brace are swallowed.
                None if consumed == 0 => out.push('$'),
                None => {}
            }
            rest = &rest[at + 1 + consumed..];
        }
        out.push_str(rest);
        out
    }
}

/// The variable name at the start of `text` (behind a `$`) and how many bytes it takes there.
fn shell_name(text: &str) -> (Option<&str>, usize) {
    let bytes = text.as_bytes();
    match bytes.first() {
        None => (None, 0),
        Some(b'{') => match bytes.get(1) {
            Some(&special) if is_special(special) && bytes.get(2) == Some(&b'}') => (Some(&text[1..2]), 3),
            _ => match text.find('}') {
                // Bad syntax: Go eats "${}" whole, and only the brace of one that never closes.
                Some(1) => (None, 2),
                Some(end) => (Some(&text[1..end]), end + 1),
                None => (None, 1),
            },
        },
        Some(&special) if is_special(special) => (Some(&text[..1]), 1),
        Some(_) => match bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count() {
            0 => (None, 0),
            length => (Some(&text[..length]), length),
        },
    }
}

/// The shell's special parameters, which Go treats as one-letter names.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'#' | b'$' | b'@' | b'!' | b'?' | b'-') || byte.is_ascii_digit()
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_is_as_gos() {
        let environment = Environment::new([("A", "1"), ("B_2", "two")]);
        let expand = |text| environment.expand(text);
        assert_eq!(expand("x=$A y=${B_2}z"), "x=1 y=twoz");
        assert_eq!(expand("[$NONE][${NONE}]"), "[][]");
        assert_eq!(expand("$A-$A"), "1-1");
        assert_eq!(expand("100$ or $."), "100$ or $.");
        assert_eq!(expand("a${}b${c"), "abc");
        assert_eq!(expand("$$A"), "A");
        assert_eq!(expand("ü$Aü"), "ü1ü");
    }

    #[test]
    fn values_never_print() {
        assert_eq!(format!("{:?}", Environment::new([("TOKEN", "s3cret")])), r#"["TOKEN"]"#);
    }

    #[test]
    fn an_empty_namespace_is_none() {
        assert_eq!(Environment::new([("NAMESPACE", "")]).namespace(), None);
        assert_eq!(Environment::new([("NAMESPACE", "a")]).namespace(), Some("a"));
    }
}
