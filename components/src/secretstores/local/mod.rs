//! Secrets of this machine: `secretstores.local.file` and `secretstores.local.env`.

pub mod env;
pub mod file;
