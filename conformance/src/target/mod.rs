//! The program under test, as an outside process: Ottavo's own binary, or a real daprd by path.

mod ports;
mod process;
mod sidecar;

pub use ports::free_ports;
pub use process::Process;
pub use sidecar::{API_READY, Builder, READY, Sidecar};

use std::path::{Path, PathBuf};

/// Ottavo's binary: `OTTAVO_BIN`, or the one beside the running test or program.
///
/// # Panics
///
/// When there is none: `cargo build -p gateway` makes it.
pub fn ottavo() -> PathBuf {
    built("OTTAVO_BIN", "ottavo", "gateway")
}

/// containerd's shim: `OTTAVO_SHIM_BIN`, or the one beside the running test or program.
///
/// # Panics
///
/// When there is none: `cargo build -p ottavo-shim` makes it.
pub fn shim() -> PathBuf {
    built("OTTAVO_SHIM_BIN", "containerd-shim-ottavo-v2", "ottavo-shim")
}

fn built(variable: &str, name: &str, package: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a program has a path");
    let binary = std::env::var_os(variable).map_or_else(
        || {
            // `target/<profile>/deps/test` and `target/<profile>/conformance`.
            let folder = own.parent().expect("a program is in a folder");
            let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
            folder.join(name)
        },
        PathBuf::from,
    );
    assert!(binary.exists(), "{} is missing: cargo build -p {package} makes it", binary.display());
    binary
}

/// The path of a real daprd, when `DAPRD_PATH` gives one.
pub fn daprd() -> Option<PathBuf> {
    std::env::var_os("DAPRD_PATH").map(PathBuf::from)
}

/// Where `conformance/setup.sh` installs what tests need.
pub fn test_cache() -> PathBuf {
    std::env::var_os("OTTAVO_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-cache"), PathBuf::from)
}
