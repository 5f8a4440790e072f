//! Searches for input that breaks [`fuzz::functions`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzz::functions::check(input));
