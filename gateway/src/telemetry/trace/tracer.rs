//! Where spans begin.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::context::SpanContext;
use super::export::{self, Exporter, ExporterError, Resource};
use super::ids::{SpanId, TraceId};
use super::span::{Span, SpanKind};
use crate::config::Environment;
use crate::config::configuration::TracingSpec;
use crate::telemetry::metrics::number;

/// The rate for a text that is no number, an empty one included.
const DEFAULT_RATE: f64 = 1e-4;

/// What tracing does, by `spec.tracing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `samplingRate: "0"`: headers are neither read nor written; what a caller sends passes verbatim.
    Off,
    /// No rate and no exporter: a caller's context passes unchanged, without one it is all zeros.
    Passing,
    /// Spans are made, and recorded when sampled.
    Recording,
}

/// Starts spans. Cheap to clone; one for each gateway.
#[derive(Clone)]
pub struct Tracer {
    inner: Arc<Inner>,
}

struct Inner {
    mode: Mode,
    sampler: Sampler,
    exporter: Option<Exporter>,
}

/// A decision by trace id, for traces that begin here; all others follow their parent.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sampler {
    rate: f64,
}

impl Tracer {
    /// Passes contexts on and records nothing.
    pub fn passing() -> Self {
        Self::silent(Mode::Passing)
    }

    /// Does nothing at all.
    pub fn off() -> Self {
        Self::silent(Mode::Off)
    }

    fn silent(mode: Mode) -> Self {
        Self { inner: Arc::new(Inner { mode, sampler: Sampler { rate: 0.0 }, exporter: None }) }
    }

    /// Tracing as `spec` says. Spans are exported by a task on `runtime`, which ends with [`Tracer::close`].
    ///
    /// `environment` gives `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn start(
        spec: &TracingSpec,
        app_id: &str,
        environment: &Environment,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, ExporterError> {
        let rate = spec.sampling_rate.trim().parse().ok().filter(|rate: &f64| !rate.is_nan()).unwrap_or(DEFAULT_RATE);
        let sampler = Sampler { rate };
        let sinks = export::sinks(spec, Resource::new(app_id, environment), runtime)?;
        info!(
            target: "dapr.runtime",
            "Dapr trace sampler initialized: ParentBased{{root:{},remoteParentSampled:AlwaysOnSampler,\
             remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,\
             localParentNotSampled:AlwaysOffSampler}}",
            sampler.description()
        );
        let mode = match (rate == 0.0, sinks.is_empty() && spec.sampling_rate.is_empty()) {
            (true, _) => Mode::Off,
            (false, true) => Mode::Passing,
            (false, false) => Mode::Recording,
        };
        let exporter = (mode == Mode::Recording && !sinks.is_empty()).then(|| Exporter::start(sinks, runtime));
        Ok(Self { inner: Arc::new(Inner { mode, sampler, exporter }) })
    }

    pub fn mode(&self) -> Mode {
        self.inner.mode
    }

    pub fn is_off(&self) -> bool {
        self.inner.mode == Mode::Off
    }

    /// Begins a span under `parent`, or a trace when there is none (or an invalid one).
    pub fn span(&self, name: &str, kind: SpanKind, parent: Option<&SpanContext>) -> Span {
        if self.inner.mode != Mode::Recording {
            return Span::silent(parent.cloned().unwrap_or_default());
        }
        let parent = parent.filter(|parent| parent.is_valid());
        let (trace_id, sampled) = match parent {
            Some(parent) => (parent.trace_id, parent.is_sampled()),
            None => {
                let trace_id = TraceId::random();
                (trace_id, self.inner.sampler.takes(trace_id))
            }
        };
        let context = SpanContext {
            trace_id,
            span_id: SpanId::random(),
            flags: 0,
            state: parent.map(|parent| parent.state.clone()).unwrap_or_default(),
        }
        .with_sampled(sampled);
        match &self.inner.exporter {
            Some(exporter) if sampled => {
                Span::recording(context, parent.map(|parent| parent.span_id), kind, name, exporter.clone())
            }
            _ => Span::silent(context),
        }
    }

    /// Exports what is left, for at most `within`, and ends. Spans that end later are lost.
    pub async fn close(&self, within: Duration) {
        if let Some(exporter) = &self.inner.exporter {
            exporter.close(within).await;
        }
    }
}

impl Sampler {
    fn takes(self, trace_id: TraceId) -> bool {
        if self.rate >= 1.0 {
            return true;
        }
        let [.., a, b, c, d, e, f, g, h] = trace_id.0;
        let value = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate below 1 of 2^63")]
        let bound = (self.rate.max(0.0) * 9_223_372_036_854_775_808.0) as u64;
        value < bound
    }

    /// As the OpenTelemetry SDK for Go names it.
    fn description(self) -> String {
        if self.rate >= 1.0 {
            return "AlwaysOnSampler".to_owned();
        }
        format!("TraceIDRatioBased{{{}}}", number(self.rate.max(0.0)))
    }
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("mode", &self.inner.mode).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tracer(rate: &str) -> Tracer {
        let spec = TracingSpec { sampling_rate: rate.into(), ..TracingSpec::default() };
        Tracer::start(&spec, "shop", &Environment::default(), &tokio::runtime::Handle::current()).unwrap()
    }

    fn parent(flags: &str) -> SpanContext {
        SpanContext::from_traceparent(&format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")).unwrap()
    }

    #[tokio::test]
    async fn without_a_rate_contexts_pass_unchanged() {
        let tracer = tracer("").await;
        assert_eq!(tracer.mode(), Mode::Passing);
        assert_eq!(tracer.span("s", SpanKind::Client, Some(&parent("01"))).context(), &parent("01"));
        assert_eq!(tracer.span("s", SpanKind::Client, None).context(), &SpanContext::default());
    }

    #[tokio::test]
    async fn a_rate_of_zero_is_off() {
        assert!(tracer("0").await.is_off());
        assert_eq!(tracer("nonsense").await.mode(), Mode::Recording);
    }

    #[tokio::test]
    async fn children_follow_their_parent() {
        let tracer = tracer("1").await;
        for (flags, sampled) in [("01", true), ("00", false)] {
            let span = tracer.span("s", SpanKind::Client, Some(&parent(flags)));
            assert_eq!(span.context().trace_id, parent(flags).trace_id);
            assert_ne!(span.context().span_id, parent(flags).span_id);
            assert_eq!(span.context().is_sampled(), sampled);
        }
        assert!(tracer.span("s", SpanKind::Client, None).context().is_sampled());
    }

    #[test]
    fn the_rate_is_a_share_of_trace_ids() {
        let sampler = Sampler { rate: 0.25 };
        let taken = (0..4_000).filter(|_| sampler.takes(TraceId::random())).count();
        assert!((800..1_200).contains(&taken), "{taken}");
        assert!(!Sampler { rate: 0.0 }.takes(TraceId([0; 16])));
    }

    #[test]
    fn samplers_are_named_as_in_go() {
        for (rate, name) in [
            (0.0, "TraceIDRatioBased{0}"),
            (1e-4, "TraceIDRatioBased{0.0001}"),
            (0.5, "TraceIDRatioBased{0.5}"),
            (1.0, "AlwaysOnSampler"),
        ] {
            assert_eq!(Sampler { rate }.description(), name);
        }
    }
}
