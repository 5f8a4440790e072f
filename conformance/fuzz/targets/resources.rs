//! Searches for input that breaks [`fuzz::resources`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzz::resources::check(input));
