//! Bad input against the built program, and against a real daprd where there is one.

use std::path::Path;

use conformance::client::http1::{Plan, exchange};
use conformance::target;
use conformance::wire::{self, Subject};

/// Runs the table; afterwards the process must live, answer, and have met no panic.
fn check(binary: Option<&Path>, subject: Subject) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = wire::rows();
    let mut sidecar = wire::sidecar(binary, folder.path()).start();
    if std::env::var_os("OTTAVO_WIRE_PRINT").is_some() {
        // For who adds rows: what this program answers, in the notation of the table.
        for row in &rows {
            let answer = wire::ask(&sidecar, row).unwrap_or_else(|error| panic!("{}: {error}", row.name));
            println!("{}\t{}", row.name, answer.line());
        }
        return;
    }
    let differences = wire::run(&sidecar, &rows, subject);
    let texts: Vec<String> = differences
        .iter()
        .map(|one| format!("{}\n  wanted {}\n  got    {}", one.row, one.wanted.line(), one.got.line()))
        .collect();
    assert!(sidecar.alive(), "the process did not outlive the table:\n{}", sidecar.log());
    let plan = Plan { answers: Some(1), half_close: false, patience: std::time::Duration::from_secs(10) };
    let health = exchange(sidecar.http, b"GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\n\r\n", plan).expect("a connection");
    assert_eq!(health.answers.first().map(|answer| answer.status), Some(204), "healthy after the table");
    let log = sidecar.log();
    let panics: Vec<&str> = log.lines().filter(|line| line.contains("panic")).collect();
    assert!(panics.is_empty(), "the log tells of panics: {panics:#?}");
    assert!(texts.is_empty(), "{} of {} rows differ:\n{}", texts.len(), rows.len(), texts.join("\n"));
    println!("{} rows hold", rows.len());
}

#[test]
fn bad_input_is_answered_as_the_table_says() {
    check(None, Subject::Ottavo);
}

#[test]
fn a_real_daprd_answers_as_the_table_says() {
    match target::daprd() {
        Some(daprd) => check(Some(&daprd), Subject::Daprd),
        None => println!("not run: DAPRD_PATH gives no real daprd"),
    }
}

#[test]
fn rows_expect_something_and_say_why_ours_differs() {
    for row in wire::rows() {
        assert_ne!(row.expect, wire::row::Answer::default(), "{}: expects nothing", row.name);
        if let Some(ours) = &row.ours {
            assert!(ours.because.len() > 10 && !ours.because.contains('\n'), "{}: a reason of one line", row.name);
            assert!(!row.expect.is_as(&ours.expect), "{}: not different", row.name);
        }
    }
}
