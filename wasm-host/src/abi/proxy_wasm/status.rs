//! The numbers of the ABI.

/// What a host function answers. Guests built with the Rust SDK give up over numbers that they do not know, so only a
/// few are used beyond those that an SDK expects of the same function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok = 0,
    NotFound = 1,
    BadArgument = 2,
    SerializationFailure = 3,
    ParseFailure = 4,
    InvalidMemoryAccess = 6,
    Empty = 7,
    CasMismatch = 8,
    InternalFailure = 10,
}

/// What a callback asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Continue,
    Pause,
}

impl Action {
    /// Everything but 0 pauses, as in Envoy.
    pub(super) fn of(number: u32) -> Self {
        if number == 0 { Self::Continue } else { Self::Pause }
    }
}

/// The two directions of an HTTP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// The version of the ABI that a module was made for, by its marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V0_1_0,
    V0_2_0,
    V0_2_1,
}

impl Version {
    pub(super) const ALL: [(&'static str, Self); 3] = [
        ("proxy_abi_version_0_1_0", Self::V0_1_0),
        ("proxy_abi_version_0_2_0", Self::V0_2_0),
        ("proxy_abi_version_0_2_1", Self::V0_2_1),
    ];
}
