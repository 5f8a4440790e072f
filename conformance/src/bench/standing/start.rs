//! P17: from the start of the process to the first 204 of its health.

use std::time::{Duration, Instant};

use super::{Lengths, Row};
use crate::bench::statistics::median;
use crate::bench::subject::Subject;
use crate::target::{READY, free_ports};

/// No start begins after this time, but for the first: a daprd takes nearly 5 s for each Redis that is not there, one
/// after the other.
const TIME: Duration = Duration::from_secs(60);
/// How long one start may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Components whose server is not there, among 1000.
const UNREACHABLE: usize = 100;

pub fn rows(lengths: &Lengths) -> Vec<Row<'_>> {
    let starts = lengths.starts;
    vec![
        Row::new("P17 start to healthz 204, no components", "ms", 15.0, move |subject| start(subject, starts, "")),
        Row::new("P17 start to healthz 204, 100 components", "ms", 300.0, move |subject| {
            start(subject, starts, &in_memory(100))
        }),
        Row::new("P17 start to healthz 204, 1000 components, 100 unreachable", "ms", 300.0, move |subject| {
            start(subject, starts, &(in_memory(1000 - UNREACHABLE) + &unreachable()))
        }),
    ]
}

/// The median in milliseconds.
fn start(subject: &Subject, starts: usize, resources: &str) -> Option<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || (times.len() < starts && begun.elapsed() < TIME) {
        let builder = subject.sidecar("start")?.ready_when(READY).patience(PATIENCE);
        let builder = if resources.is_empty() { builder } else { builder.resource(resources) };
        let mut sidecar = builder.lay_out();
        let begun = Instant::now();
        sidecar.run();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Some(median(&times))
}

/// Stores and brokers in memory, in turn.
fn in_memory(count: usize) -> String {
    (0..count)
        .map(|number| {
            let kind = if number % 2 == 0 { "state.in-memory" } else { "pubsub.in-memory" };
            component(&format!("memory-{number}"), kind, false, "[]")
        })
        .collect()
}

/// Stores in a Redis at ports that nothing listens on. daprd would end without `ignoreErrors`.
fn unreachable() -> String {
    free_ports::<UNREACHABLE>()
        .iter()
        .map(|port| {
            let metadata = format!("[{{ name: redisHost, value: \"127.0.0.1:{port}\" }}]");
            component(&format!("redis-{port}"), "state.redis", true, &metadata)
        })
        .collect()
}

fn component(name: &str, kind: &str, ignore_errors: bool, metadata: &str) -> String {
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{ name: {name} }}\nspec: {{ type: {kind}, version: v1, \
         ignoreErrors: {ignore_errors}, metadata: {metadata} }}\n---\n"
    )
}
