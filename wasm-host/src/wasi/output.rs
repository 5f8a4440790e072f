//! Where a guest's standard output and error go.

/// What a stream keeps at most; what is beyond it is dropped, and the guest does not learn of it.
const KEPT: usize = 16 << 20;

/// The longest line that goes into a log.
const LINE: usize = 4 << 10;

/// Takes what a guest writes.
pub(crate) enum Output {
    /// Kept until it is asked for.
    Kept(Vec<u8>),
    /// Passed on line by line.
    Lines { begun: Vec<u8>, write: Box<dyn Fn(&str) + Send + Sync> },
}

impl Default for Output {
    fn default() -> Self {
        Self::Kept(Vec::new())
    }
}

impl Output {
    pub fn lines(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::Lines { begun: Vec::new(), write: Box::new(write) }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Kept(kept) => {
                let room = KEPT.saturating_sub(kept.len());
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Self::Lines { begun, write } => {
                for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                    let room = LINE.saturating_sub(begun.len());
                    begun.extend_from_slice(&piece[..piece.len().min(room)]);
                    if piece.ends_with(b"\n") {
                        write(&printable(begun));
                        begun.clear();
                    }
                }
            }
        }
    }

    /// The guest has ended: a line that it had begun is passed on, too.
    pub fn finish(&mut self) {
        if let Self::Lines { begun, write } = self
            && !begun.is_empty()
        {
            write(&printable(begun));
            begun.clear();
        }
    }

    /// What was kept, which is then empty.
    pub fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Kept(kept) => std::mem::take(kept),
            Self::Lines { .. } => Vec::new(),
        }
    }
}

/// Text of a guest for a log: without what a terminal would obey, and without the end of the line.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(['\n', '\r'])
        .chars()
        .filter(|letter| !letter.is_control() || "\n\t".contains(*letter))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn lines_are_put_together_and_cleaned() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let of_output = seen.clone();
        let mut output = Output::lines(move |line| of_output.lock().unwrap().push(line.to_owned()));
        output.write(b"one\ntw");
        output.write(b"o\x1b[31m\r\nthree");
        assert_eq!(*seen.lock().unwrap(), ["one", "two[31m"]);
        output.finish();
        output.finish();
        assert_eq!(*seen.lock().unwrap(), ["one", "two[31m", "three"]);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut output = Output::default();
        for _ in 0..3 {
            output.write(&vec![b'x'; KEPT / 2]);
        }
        assert_eq!(output.take().len(), KEPT);
        assert!(output.take().is_empty());
    }
}
