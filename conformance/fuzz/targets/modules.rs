//! Searches for input that breaks [`fuzz::modules`].
#![no_main]

use fuzz::modules::Host;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static HOST: Host = Host::start();
}

fuzz_target!(|input: &[u8]| HOST.with(|host| host.check(input)));
