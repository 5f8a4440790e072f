//! P19: the programs themselves.

use std::path::Path;

use super::{Lengths, Row};
use crate::bench::subject::Subject;

pub fn rows(lengths: &Lengths) -> Vec<Row<'_>> {
    vec![
        Row::new("P19 binary", "MB", 40.0, |subject| match subject {
            Subject::Ottavo(path) | Subject::Daprd(path) => megabytes(path),
            Subject::Control => None,
        }),
        Row::new("P19 binary, core", "MB", 12.0, |subject| match subject {
            Subject::Ottavo(_) => megabytes(lengths.core.as_deref()?),
            Subject::Daprd(_) | Subject::Control => None,
        }),
    ]
}

fn megabytes(path: &Path) -> Option<f64> {
    std::fs::metadata(path).ok().map(|facts| facts.len() as f64 / 1e6)
}
