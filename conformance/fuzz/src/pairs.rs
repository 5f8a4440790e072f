//! Lists of pairs as proxy-wasm guests give them, back and forth.
//!
//! An input is the bytes of a list.

use wasm_host::abi::proxy_wasm::map::{decode, encode, encoded_len};

/// # Panics
///
/// A list is another one when it has been written and read again.
pub fn check(input: &[u8]) {
    let Some(pairs) = decode(input) else { return };
    let bytes = encode(&pairs);
    assert_eq!(bytes.len(), encoded_len(&pairs));
    let is_short_form = input.is_empty() || input == [0];
    assert!(is_short_form || input.starts_with(&bytes), "{pairs:?} was not in {input:?}");
    assert_eq!(decode(&bytes), Some(pairs));
}
