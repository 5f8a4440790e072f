//! Spans as log lines.

use std::time::SystemTime;

use async_trait::async_trait;
use chrono::{DateTime, Local};
use tracing::info;

use super::{SCOPE, Sink};
use crate::telemetry::trace::span::Finished;

/// Logs each span, in the form of daprd 1.18.
pub struct Stdout;

#[async_trait]
impl Sink for Stdout {
    fn setting(&self) -> &'static str {
        "stdout"
    }

    async fn send(&self, spans: &[Finished]) -> Result<(), String> {
        for span in spans {
            info!(target: SCOPE, "{}", line(span));
        }
        Ok(())
    }
}

fn line(span: &Finished) -> String {
    format!(
        "[{}] Trace: {} Span: {}/{} Time: [{} ->  {}] Annotations: []",
        span.name,
        span.context.trace_id,
        span.parent.unwrap_or_default(),
        span.context.span_id,
        go_time(span.start),
        go_time(span.end),
    )
}

/// `2026-11-24 04:07:53.258746254 +0000 UTC`, as Go prints a time.
fn go_time(time: SystemTime) -> String {
    let time: DateTime<Local> = time.into();
    let zone = if time.offset().local_minus_utc() == 0 { " UTC".to_owned() } else { time.format(" %z").to_string() };
    format!("{}{}{zone}", time.format("%Y-%m-%d %H:%M:%S%.f"), time.format(" %z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace::{SpanContext, SpanKind, Status};

    #[test]
    fn a_span_is_one_line() {
        let context = SpanContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        let span = Finished {
            context,
            parent: None,
            kind: SpanKind::Client,
            name: "/v1.0/state/mem".into(),
            start: SystemTime::UNIX_EPOCH,
            end: SystemTime::UNIX_EPOCH,
            attributes: vec![],
            status: Status::Unset,
        };
        let line = line(&span);
        assert!(
            line.starts_with(
                "[/v1.0/state/mem] Trace: 4bf92f3577b34da6a3ce929d0e0e4736 Span: 0000000000000000/00f067aa0ba902b7 Time: [19"
            ),
            "{line}"
        );
        assert!(line.ends_with("] Annotations: []"), "{line}");
    }
}
