//! Tests of the repository and of the crate as a whole.

mod tidy;
