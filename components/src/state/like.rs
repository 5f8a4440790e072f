//! SQL `LIKE` patterns over keys, for stores without SQL: `%` any text, `_` one character, `\` quotes the next.

use crate::{Error, Result};

/// One element of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Any,
}

/// A parsed pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    /// Refuses the empty pattern with daprd's text; a `\` at the end is a literal one.
    pub fn parse(text: &str) -> Result<Self> {
        check(text)?;
        let mut parts = Vec::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '%' => Part::Any,
                '_' => Part::One,
                '\\' => Part::Literal(chars.next().unwrap_or('\\')),
                c => Part::Literal(c),
            });
        }
        Ok(Self { parts })
    }

    /// The text that every match begins with.
    pub fn literal_prefix(&self) -> String {
        self.parts.iter().map_while(|part| if let Part::Literal(c) = part { Some(*c) } else { None }).collect()
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        // Where to go on when a literal fails: behind the last `%`, one character further.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    retry = Some((part + 1, at));
                    part += 1;
                    continue;
                }
                Some(Part::One) => (),
                Some(Part::Literal(c)) if *c == text[at] => (),
                _ => match &mut retry {
                    Some((after_any, from)) => {
                        *from += 1;
                        (part, at) = (*after_any, *from);
                        continue;
                    }
                    None => return false,
                },
            }
            at += 1;
            part += 1;
        }
        self.parts[part..].iter().all(|part| *part == Part::Any)
    }

    /// The pattern in SQLite's glob syntax, where a one-character class stands for a literal wildcard.
    pub fn to_sqlite_glob(&self) -> String {
        let mut glob = String::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Any => glob.push('*'),
                Part::One => glob.push('?'),
                Part::Literal(c @ ('*' | '?' | '[')) => glob.extend(['[', *c, ']']),
                Part::Literal(c) => glob.push(*c),
            }
        }
        glob
    }

    /// The pattern in Redis's glob syntax.
    pub fn to_redis_glob(&self) -> String {
        let mut glob = String::with_capacity(self.parts.len());
        for part in &self.parts {
            match part {
                Part::Any => glob.push('*'),
                Part::One => glob.push('?'),
                Part::Literal(c) => {
                    if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
                        glob.push('\\');
                    }
                    glob.push(*c);
                }
            }
        }
        glob
    }
}

/// daprd's refusal of an empty pattern.
pub fn check(text: &str) -> Result<()> {
    if text.is_empty() { Err(Error::other("keys like pattern cannot be empty")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(text)
    }

    #[test]
    fn patterns_match_whole_keys() {
        assert!(matches("app||%", "app||key"));
        assert!(matches("%", ""));
        assert!(matches("a%b%c", "a-b-b-c"));
        assert!(matches("_bc", "äbc"));
        assert!(!matches("a", "ab"));
        assert!(!matches("a_", "a"));
        assert!(!matches("a%b", "a-b-c"));
    }

    #[test]
    fn a_backslash_takes_the_next_character_literally() {
        assert!(matches(r"50\%", "50%"));
        assert!(!matches(r"50\%", "500"));
        assert!(matches(r"a\_b\\", r"a_b\"));
        assert!(matches(r"a\", r"a\"));
    }

    #[test]
    fn the_prefix_ends_at_the_first_wildcard() {
        assert_eq!(Pattern::parse(r"a\%b_c%").unwrap().literal_prefix(), "a%b");
    }

    #[test]
    fn globs_keep_literal_wildcards_literal() {
        let pattern = Pattern::parse(r"a*\%b_%[").unwrap();
        assert_eq!(pattern.to_redis_glob(), r"a\*%b?*\[");
        assert_eq!(pattern.to_sqlite_glob(), "a[*]%b?*[[]");
    }

    #[test]
    fn an_empty_pattern_is_refused() {
        assert_eq!(Pattern::parse("").unwrap_err().message(), "keys like pattern cannot be empty");
    }
}
