//! Whom a call is for.

/// A target by its form. Whether a name is an endpoint's is known to the block alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// `http://…` or `https://…`.
    Url(&'a str),
    Name {
        id: &'a str,
        namespace: &'a str,
    },
}

/// A target that cannot be one. The text is daprd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("app id is empty")]
    Empty,
    #[error("invalid app id {0}")]
    Invalid(String),
}

impl<'a> Target<'a> {
    /// `own_namespace` is that of names without one.
    pub fn parse(target: &'a str, own_namespace: &'a str) -> Result<Self, TargetError> {
        if target.is_empty() {
            return Err(TargetError::Empty);
        }
        if is_url(target) {
            return Ok(Self::Url(target));
        }
        match target.split_once('.') {
            None => Ok(Self::Name { id: target, namespace: own_namespace }),
            Some((id, namespace)) if !namespace.contains('.') => Ok(Self::Name { id, namespace }),
            Some(_) => Err(TargetError::Invalid(target.to_owned())),
        }
    }
}

/// Whether a target is an address by itself.
pub fn is_url(target: &str) -> bool {
    target.starts_with("http://") || target.starts_with("https://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        let parse = |target| Target::parse(target, "ns");
        assert_eq!(parse("a"), Ok(Target::Name { id: "a", namespace: "ns" }));
        assert_eq!(parse("a.b"), Ok(Target::Name { id: "a", namespace: "b" }));
        assert_eq!(parse("http://h.x.y:1/p"), Ok(Target::Url("http://h.x.y:1/p")));
        assert_eq!(parse("").unwrap_err().to_string(), "app id is empty");
        assert_eq!(parse("a.b.c").unwrap_err().to_string(), "invalid app id a.b.c");
    }
}
