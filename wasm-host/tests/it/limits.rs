//! What a guest may use, and that everybody else does not notice.

use std::time::{Duration, Instant};

use wasm_host::abi::command::{Command, Run};
use wasm_host::{Engine, Error, Limits, Settings};

use crate::guest::{engine, module};

async fn end(engine: &Engine, text: &str, limits: Limits) -> Error {
    let command = Command::new(engine, module(engine, text).await, limits, false).unwrap();
    match command.run(Run::default()).await {
        Ok(outcome) => outcome.end.expect_err("it cannot end well"),
        Err(error) => error,
    }
}

const LOOP: &str = r#"(module (func (export "_start") (loop $again (br $again))))"#;

#[tokio::test]
async fn an_endless_loop_is_stopped_and_others_run_meanwhile_on_the_same_thread() {
    let engine = engine();
    let limits = Limits { time: Duration::from_millis(200), ..Limits::default() };
    let (error, slowest) = tokio::join!(end(&engine, LOOP, limits), async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begin = Instant::now();
            tokio::time::sleep(Duration::from_millis(2)).await;
            slowest = slowest.max(begin.elapsed());
        }
        slowest
    });
    assert!(matches!(&error, Error::OutOfTime { limit, .. } if *limit == limits.time), "{error}");
    assert!(slowest < Duration::from_millis(150), "another task waited for {slowest:?}");
    assert_eq!(engine.live_guests(), Some(0));
}

#[tokio::test]
async fn other_work_waits_for_one_of_many_endless_loops_at_a_time() {
    const LOOPS: u32 = 16;
    let tick = Duration::from_millis(5);
    let engine = Engine::new(Settings { instances: LOOPS, tick, ..Settings::default() }).unwrap();
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..LOOPS {
        let engine = engine.clone();
        let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
        loops.spawn(async move { end(&engine, LOOP, limits).await });
    }
    while engine.live_guests() != Some(LOOPS.into()) {
        tokio::task::yield_now().await;
    }
    let mut waits = Vec::new();
    for _ in 0..41 {
        let begin = Instant::now();
        tokio::task::yield_now().await;
        waits.push(begin.elapsed());
    }
    waits.sort();
    // Where all of them were in the way, it would be a tick of each.
    assert!(waits[20] < tick * LOOPS / 2, "{waits:?}");
    assert!(loops.try_join_next().is_none(), "none of them has ended");
}

#[tokio::test]
async fn waiting_costs_no_time_but_has_a_limit_of_its_own() {
    // poll_oneoff with one subscription: the monotonic clock, 10 seconds.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 10000000000))
            (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))"#;
    let limits = Limits { wall: Some(Duration::from_millis(20)), ..Limits::default() };
    let error = end(&engine(), text, limits).await;
    assert!(matches!(&error, Error::OutOfTime { .. }), "{error}");
}

#[tokio::test]
async fn a_dropped_call_stops_its_guest() {
    let engine = engine();
    let call = end(&engine, LOOP, Limits::default());
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    assert_eq!(engine.live_guests(), Some(0));
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_the_guest_with_the_number() {
    let text = r#"(module (memory (export "memory") 1)
        (func (export "_start")
            (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))))"#;
    let error = end(&engine(), text, Limits { memory: 1 << 20, ..Limits::default() }).await;
    assert_eq!(error, Error::OutOfMemory { guest: "test".into(), limit: 1 << 20, wanted: 101 << 16 }, "{error}");
    let large = r#"(module (memory 100) (func (export "_start")))"#;
    let error = end(&engine(), large, Limits { memory: 1 << 20, ..Limits::default() }).await;
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
}

#[tokio::test]
async fn a_stack_that_grows_without_end_is_a_trap_with_the_functions_in_it() {
    let text = r#"(module (func $down (export "_start") (call $down)))"#;
    let error = end(&engine(), text, Limits::default()).await;
    let Error::Trap { reason, backtrace, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("stack"), "{reason}");
    assert_eq!(backtrace.first().map(String::as_str), Some("down"));
}

#[tokio::test]
async fn tables_have_a_limit() {
    let text = r#"(module (table 1 funcref)
        (func (export "_start")
            (if (i32.eq (table.grow (ref.null func) (i32.const 5000)) (i32.const -1)) (then unreachable))))"#;
    let error = end(&engine(), text, Limits { table_elements: 1000, ..Limits::default() }).await;
    assert!(matches!(error, Error::Trap { .. }), "{error}");
}

#[tokio::test]
async fn fuel_ends_a_guest_where_the_engine_counts_it() {
    let engine = Engine::new(Settings { fuel: true, instances: 5, ..Settings::default() }).unwrap();
    let error = end(&engine, LOOP, Limits { fuel: Some(10_000), ..Limits::default() }).await;
    assert_eq!(error, Error::OutOfFuel { guest: "test".into(), limit: 10_000 });
}

#[tokio::test]
async fn one_guest_more_than_there_is_room_for_is_refused_and_later_let_in() {
    let engine = Engine::new(Settings { instances: 1, ..Settings::default() }).unwrap();
    let text = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func (export "_start") (drop (call $yield))))"#;
    let command = Command::new(&engine, module(&engine, text).await, Limits::default(), false).unwrap();
    let (one, other) = tokio::join!(command.run(Run::default()), command.run(Run::default()));
    assert_eq!(one.unwrap().end, Ok(()));
    assert!(other.unwrap_err().is_busy());
    assert_eq!(command.run(Run::default()).await.unwrap().end, Ok(()));
}
