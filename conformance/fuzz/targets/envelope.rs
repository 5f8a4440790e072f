//! Searches for input that breaks [`fuzz::envelope`].
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| fuzz::envelope::check(input));
