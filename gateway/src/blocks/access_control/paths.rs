//! Paths with wildcards, segment by segment, in the order in which they were given (as daprd 1.18).

/// Values by path. `/*` stands for one last segment, `/**` for all that follows, `*` inside a segment for any text; a path
/// without wildcards holds for what is below it, too.
#[derive(Debug)]
pub struct Paths<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    segment: String,
    value: Option<T>,
    below: Paths<T>,
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self { nodes: Vec::new() }
    }
}

impl<T> Paths<T> {
    /// `path` begins with a slash. Of two values for one path the first stays.
    pub fn insert(&mut self, path: &str, value: T) {
        let mut segments = path.split('/').skip(1).peekable();
        let mut at = self;
        while let Some(segment) = segments.next() {
            let index = at.nodes.iter().position(|node| node.segment == segment).unwrap_or_else(|| {
                at.nodes.push(Node { segment: segment.to_owned(), value: None, below: Self::default() });
                at.nodes.len() - 1
            });
            let node = &mut at.nodes[index];
            if segments.peek().is_none() {
                if node.value.is_none() {
                    node.value = Some(value);
                }
                return;
            }
            at = &mut node.below;
        }
    }

    /// The value for a path.
    pub fn find(&self, path: &str) -> Option<&T> {
        let mut segments = path.split('/').skip(1).peekable();
        let mut at = self;
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let node = at.matching(segment, is_last)?;
            match &node.value {
                Some(_) if !is_last && node.segment == "*" => {}
                Some(value) => return Some(value),
                None if is_last => return node.below.matching("*", true)?.value.as_ref(),
                None => {}
            }
            at = &node.below;
        }
        None
    }

    /// The first node that stands for a segment.
    fn matching(&self, segment: &str, is_last: bool) -> Option<&Node<T>> {
        self.nodes.iter().find(|node| {
            node.segment == segment
                || match node.segment.as_str() {
                    "*" => is_last,
                    "**" => true,
                    pattern => matches(pattern.as_bytes(), segment.as_bytes()),
                }
        })
    }
}

/// Whether a text fits a pattern in which `*` is any text, an empty one too.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    // Where the last star was, and how much it has taken.
    let mut star: Option<(usize, usize)> = None;
    while at_text < text.len() {
        if pattern.get(at_pattern) == Some(&b'*') {
            star = Some((at_pattern, at_text));
            at_pattern += 1;
        } else if pattern.get(at_pattern) == Some(&text[at_text]) {
            at_pattern += 1;
            at_text += 1;
        } else if let Some((position, taken)) = star {
            star = Some((position, taken + 1));
            at_pattern = position + 1;
            at_text = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_path_that_fits_decides() {
        let mut paths = Paths::default();
        for (index, path) in ["/a", "/b/*", "/b/x", "/c/**", "/d/e*f/g", "/a", "/h/i"].into_iter().enumerate() {
            paths.insert(path, index);
        }
        for (path, expected) in [
            ("/a", Some(0)),
            ("/a/below", Some(0)),
            ("/b", Some(1)),
            ("/b/x", Some(1)),
            ("/b/x/y", Some(2)),
            ("/c", Some(3)),
            ("/c/1/2", Some(3)),
            ("/d/e--f/g", Some(4)),
            ("/d/ef/g/below", Some(4)),
            ("/h", None),
            ("/none", None),
        ] {
            assert_eq!(paths.find(path).copied(), expected, "{path}");
        }
    }

    #[test]
    fn stars_take_any_text() {
        for (pattern, text, fits) in [
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("*b*", "abc", true),
            ("a*c", "axd", false),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }
}
