//! Searches for input that breaks [`fuzz::pairs`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzz::pairs::check(input));
