//! WASI commands.

use wasm_host::abi::command::{Command, Outcome, Run};
use wasm_host::{Error, Limits};

use crate::guest::{engine, module};

async fn run_as(text: &str, run: Run, is_strict: bool) -> Outcome {
    let engine = engine();
    let command = Command::new(&engine, module(&engine, text).await, Limits::default(), is_strict).unwrap();
    command.run(run).await.unwrap()
}

async fn run(text: &str, run: Run) -> Outcome {
    run_as(text, run, false).await
}

/// Writes its input to its output, in portions of 4 bytes.
const CAT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100))
        (loop $more
            (i32.store (i32.const 4) (i32.const 4))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
            (br_if $more (i32.load (i32.const 8))))))"#;

#[tokio::test]
async fn input_comes_in_and_output_goes_out() {
    let outcome = run(CAT, Run { input: "hello, guest".into(), ..Run::default() }).await;
    assert_eq!(outcome, Outcome { output: "hello, guest".into(), errors: Default::default(), end: Ok(()) });
    assert!(run(CAT, Run::default()).await.output.is_empty());
}

#[tokio::test]
async fn arguments_begin_with_the_modules_name() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $args (i32.const 100) (i32.const 200)))
            (i32.store (i32.const 8) (i32.load (i32.const 100)))
            (i32.store (i32.const 12) (i32.load (i32.const 4)))
            (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;
    let outcome = run(text, Run { arguments: vec!["1".into(), "two".into()], ..Run::default() }).await;
    assert_eq!(outcome.output, "test\x001\0two\0");
}

fn exit(code: u32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code})) unreachable))"#
    )
}

#[tokio::test]
async fn only_exit_code_0_is_success() {
    assert_eq!(run(&exit(0), Run::default()).await.end, Ok(()));
    let end = run(&exit(3), Run::default()).await.end.unwrap_err();
    assert_eq!(end, Error::Exit(3));
    assert_eq!(end.to_string(), "module closed with exit_code(3)");
}

#[tokio::test]
async fn standard_error_is_kept_apart_also_when_the_guest_traps() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "no such book")
        (func $search (export "_start")
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 12))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            unreachable))"#;
    let outcome = run(text, Run::default()).await;
    assert_eq!((outcome.errors.as_ref(), outcome.output.as_ref()), (&b"no such book"[..], &b""[..]));
    let Err(Error::Trap { guest, reason, backtrace }) = outcome.end else { panic!("{:?}", outcome.end) };
    assert_eq!((guest.as_str(), backtrace), ("test", vec!["search".to_owned()]));
    assert!(reason.contains("unreachable"), "{reason}");
}

/// Runs statements, then writes 100 bytes of its memory from 100 on.
fn shown(import: &str, statements: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" {import})
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            {statements}
            (i32.store (i32.const 0) (i32.const 100))
            (i32.store (i32.const 4) (i32.const 100))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

fn number(output: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(output[at..at + 8].try_into().unwrap())
}

#[tokio::test]
async fn a_strict_guest_has_invented_clocks_and_the_same_chance() {
    let monotonic = shown(
        r#""clock_time_get" (func $time (param i32 i64 i32) (result i32))"#,
        "(drop (call $time (i32.const 1) (i64.const 0) (i32.const 100)))
         (drop (call $time (i32.const 1) (i64.const 0) (i32.const 108)))",
    );
    let output = run_as(&monotonic, Run::default(), true).await.output;
    assert_eq!((number(&output, 0), number(&output, 8)), (0, 1_000_000));
    let output = run_as(&monotonic, Run::default(), false).await.output;
    assert!(number(&output, 8) < 1_000_000_000 && number(&output, 0) > 0);

    let random = shown(
        r#""random_get" (func $random (param i32 i32) (result i32))"#,
        "(drop (call $random (i32.const 100) (i32.const 32)))",
    );
    let strict = run_as(&random, Run::default(), true).await.output;
    assert_eq!(strict, run_as(&random, Run::default(), true).await.output);
    assert_ne!(strict, run(&random, Run::default()).await.output);
}

#[tokio::test]
async fn files_do_not_exist_and_clocks_of_other_kinds_neither() {
    let open = shown(
        r#""path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32))"#,
        "(i32.store (i32.const 192) (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 100)))",
    );
    assert_eq!(number(&run(&open, Run::default()).await.output, 92), 8);
    let clock = shown(
        r#""clock_time_get" (func $time (param i32 i64 i32) (result i32))"#,
        "(i32.store (i32.const 192) (call $time (i32.const 2) (i64.const 0) (i32.const 100)))",
    );
    assert_eq!(number(&run(&clock, Run::default()).await.output, 92), 58);
}

#[tokio::test]
async fn pointers_outside_of_the_memory_are_traps() {
    for call in [
        "(drop (call $write (i32.const 1) (i32.const 65530) (i32.const 1) (i32.const 8)))",
        "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 8)))",
        "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65533)))",
        "(i32.store (i32.const 4) (i32.const -1)) (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))",
    ] {
        let text = format!(
            r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start") {call}))"#
        );
        let end = run(&text, Run::default()).await.end;
        assert!(matches!(&end, Err(Error::Trap { reason, .. }) if reason.contains("memory")), "{call}: {end:?}");
    }
}

#[tokio::test]
async fn the_older_name_of_wasi_works() {
    let text = CAT.replace("wasi_snapshot_preview1", "wasi_unstable");
    assert_eq!(run(&text, Run { input: "old".into(), ..Run::default() }).await.output, "old");
}

#[tokio::test]
async fn a_hundred_runs_at_once_do_not_mix() {
    let engine = wasm_host::Engine::new(wasm_host::Settings::default()).unwrap();
    let command = Command::new(&engine, module(&engine, CAT).await, Limits::default(), false).unwrap();
    let runs = (0..100).map(|number| {
        let input = format!("input of run {number}");
        let run = command.run(Run { input: input.clone().into(), ..Run::default() });
        async move { (input, run.await.unwrap().output) }
    });
    for (input, output) in futures::future::join_all(runs).await {
        assert_eq!(output, input);
    }
    assert_eq!(engine.live_guests(), Some(0));
}
