//! What a binary is, read from its first bytes and its exports.

use crate::error::{Error, Result};

/// The kinds of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Exports a `proxy_abi_version_*` marker.
    ProxyWasm,
    /// Exports `handle_request`.
    HttpWasm,
    /// Exports `_start` and is none of the others.
    Command,
    /// A component of the component model; what it exports is in [`crate::Handlers`].
    Component,
}

impl Kind {
    /// How texts name guests of this kind.
    pub fn guests(self) -> &'static str {
        match self {
            Self::ProxyWasm => "proxy-wasm guests",
            Self::HttpWasm => "http-wasm guests",
            Self::Command => "WASI commands",
            Self::Component => "components",
        }
    }

    /// The kind of a compiled module, `None` when it exports nothing that tells.
    pub fn of(module: &wasmtime::Module) -> Option<Self> {
        let names: Vec<&str> = module.exports().map(|export| export.name()).collect();
        let has = |name: &str| names.contains(&name);
        if names.iter().any(|name| name.starts_with("proxy_abi_version_")) {
            Some(Self::ProxyWasm)
        } else if has("handle_request") {
            Some(Self::HttpWasm)
        } else {
            has("_start").then_some(Self::Command)
        }
    }
}

/// The two layers of the binary format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    Module,
    Component,
}

/// Tells modules from components, and refuses what is neither before the compiler does it with longer words.
///
/// # Errors
/// daprd's texts where it has them (`invalid magic number`, `invalid version header`).
pub fn check_header(guest: &str, bytes: &[u8]) -> Result<Layer> {
    let refuse = |reason: &str| Err(Error::Compile { guest: guest.to_owned(), reason: reason.to_owned() });
    if !bytes.starts_with(b"\0asm") {
        return refuse("invalid magic number");
    }
    match bytes.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(Layer::Module),
        Some([13, 0, 1, 0]) => Ok(Layer::Component),
        Some([_, 0, 1, 0]) => {
            refuse("this is a component of an early draft of the component model: build it with newer tools")
        }
        _ => refuse("invalid version header"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_apart() {
        let reason = |bytes: &[u8]| check_header("x", bytes).unwrap_err().to_string();
        assert_eq!(check_header("x", b"\0asm\x01\0\0\0"), Ok(Layer::Module));
        assert_eq!(check_header("x", b"\0asm\x0d\0\x01\0"), Ok(Layer::Component));
        assert_eq!(reason(b"package main"), "invalid magic number");
        assert_eq!(reason(b"\0asm"), "invalid version header");
        assert!(reason(b"\0asm\x0a\0\x01\0").contains("early draft"));
    }
}
