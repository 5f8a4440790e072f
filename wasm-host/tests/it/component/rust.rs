//! The guests of `tests/guests`, each built once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;

/// The guest that reaches everything. It is built at the first use, outside of the workspace.
///
/// # Panics
/// The target `wasm32-wasip2` is not installed, or the guest does not compile.
pub fn everything() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| built("everything")).clone()
}

/// The guest that takes messages with an explicit outcome.
///
/// # Panics
/// As [`everything`].
pub fn events() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| built("events")).clone()
}

fn built(name: &str) -> Bytes {
    std::fs::read(build(name)).expect("what was built").into()
}

fn build(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target", "wasm32-wasip2", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo");
    assert!(
        built.status.success(),
        "the guest does not build; is its target there (rustup target add wasm32-wasip2)?\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    target.join("wasm32-wasip2/release").join(format!("{name}.wasm"))
}
