//! The proofs under load at a small size: counts and memory, and no times.

use std::time::Duration;

use conformance::load::Report;
use conformance::proofs::{Broker, Names, kill_consumer, rolling_restarts, slow_readers, streams};

/// Fails with what was missed; bounds on latency are left to the full size.
fn assert_held(report: &Report) {
    let missed: Vec<_> = report.bounds.iter().filter(|bound| !bound.held && !is_of_time(&bound.what)).collect();
    assert!(missed.is_empty(), "{}", report.markdown());
}

fn is_of_time(what: &str) -> bool {
    what.starts_with("the slowest call") || what.starts_with("p99")
}

fn restarts(names: Names, kill: bool) -> Report {
    let settings = rolling_restarts::Settings {
        names,
        kill,
        restarts: 6,
        pause: Duration::from_millis(300),
        quiet: Duration::from_secs(1),
        calls: 100,
        messages: 50,
        ..rolling_restarts::Settings::default()
    };
    rolling_restarts::run(&settings).unwrap()
}

#[test]
fn restarts_fail_no_call_and_lose_no_message() {
    assert_held(&restarts(Names::Registry, false));
}

#[test]
fn restarts_fail_no_call_with_mdns() {
    assert_held(&restarts(Names::Mdns, false));
}

#[test]
fn kills_fail_no_call_but_those_that_they_met() {
    assert_held(&restarts(Names::Registry, true));
}

fn kills(broker: Broker) -> Report {
    let settings = kill_consumer::Settings {
        broker,
        messages: 200,
        duration: Duration::from_secs(4),
        kills: 3,
        ..kill_consumer::Settings::default()
    };
    kill_consumer::run(&settings).unwrap()
}

#[test]
fn a_killed_consumer_loses_no_message_of_redis() {
    assert_held(&kills(Broker::Redis));
}

#[test]
fn a_killed_consumer_loses_no_message_of_sqlite() {
    assert_held(&kills(Broker::Sqlite));
}

#[test]
fn large_bodies_are_not_kept_in_memory() {
    let settings = streams::Settings { length: 64 << 20, ..streams::Settings::default() };
    assert_held(&streams::run(&settings).unwrap());
}

#[test]
fn slow_readers_keep_nobody_waiting_and_nothing_in_memory() {
    let settings = slow_readers::Settings {
        readers: 64,
        calls: 100,
        phase: Duration::from_millis(1500),
        length: 8 << 20,
        growth: 16 << 10,
        ..slow_readers::Settings::default()
    };
    assert_held(&slow_readers::run(&settings).unwrap());
}
