//! Functions from WebAssembly text: of tests, and of the benchmark.

mod component;
mod filter;

use std::path::Path;

pub use component::http_component;
pub use filter::{CALLBACKS, OUT, callback, module, on_body, on_head, relay};

/// Writes a module into `folder`, and gives its manifest; `spec` stands below `spec:`.
///
/// # Panics
///
/// The folder is not writable.
pub fn function(folder: &Path, name: &str, bytes: &[u8], spec: &str) -> String {
    let path = folder.join(format!("{name}.wasm"));
    replace(&path, bytes);
    manifest(name, &path, spec)
}

/// The manifest of a function whose module is at `path`.
pub fn manifest(name: &str, path: &Path, spec: &str) -> String {
    format!(
        "apiVersion: ottavo.io/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec:\n  module: {}\n{spec}",
        path.display()
    )
}

/// Puts a file into the place of another at once.
///
/// # Panics
///
/// The folder is not writable.
pub fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("part");
    std::fs::write(&aside, bytes).expect("a writable folder");
    std::fs::rename(&aside, path).expect("the same folder");
}
