//! `state.in-memory`: the reference implementation.
