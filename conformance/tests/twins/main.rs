//! System calls, instructions and allocations of one request, on the hottest paths, are no more than recorded.
//!
//! A program of its own: it has its own allocator, and nothing else runs beside it.

mod counting;
mod in_process;

use std::sync::{Mutex, MutexGuard, PoisonError};

use conformance::twins::{self, Kind, per_request, released};

use counting::{Counting, exclude_this_thread};
use in_process::InProcess;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Requests of the smaller of two counts of allocations.
const REQUESTS: u64 = 500;

/// One at a time, on one processor.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    exclude_this_thread();
    twins::share_one();
    turn
}

#[test]
fn system_calls() {
    let _turn = alone();
    twins::hold(Kind::Syscalls, |path| twins::syscalls(path, &released()));
}

#[test]
fn instructions() {
    let _turn = alone();
    twins::hold(Kind::Instructions, |path| twins::instructions(path, &released()));
}

#[test]
fn allocations() {
    let _turn = alone();
    twins::hold(Kind::Allocations, |path| {
        let start = |builder| {
            let started = InProcess::start(builder);
            (started.sidecar.http, started.sidecar.grpc, started)
        };
        let running = path.start(start, exclude_this_thread);
        running.drive(REQUESTS);
        per_request(REQUESTS, |requests| {
            let before = ALLOCATOR.total();
            running.drive(requests);
            ALLOCATOR.total() - before
        })
    });
}
