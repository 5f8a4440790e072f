//! Searches for input that breaks [`fuzz::router`].
#![no_main]

use std::cell::RefCell;

use fuzz::router::Sidecar;
use libfuzzer_sys::fuzz_target;

/// Requests to one sidecar: what they saved must not fill the memory.
const REQUESTS: u32 = 20_000;

thread_local! {
    static SIDECAR: RefCell<(u32, Option<Sidecar>)> = const { RefCell::new((0, None)) };
}

fuzz_target!(|input: &[u8]| {
    SIDECAR.with_borrow_mut(|(count, sidecar)| {
        if count.is_multiple_of(REQUESTS) {
            *sidecar = Some(Sidecar::start());
        }
        *count += 1;
        if let Some(sidecar) = sidecar {
            sidecar.ask(input);
        }
    });
});
