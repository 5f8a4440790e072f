//! From events to lines.

use std::fmt;
use std::sync::Arc;

use chrono::Local;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::format::{Line, Value};
use super::writer::LogWriter;
use super::{Level, LogOptions, hostname};

/// Prints events of the sidecar.
pub struct LogLayer {
    level: Level,
    json: bool,
    app_id: String,
    instance: String,
    version: String,
    writer: Arc<LogWriter>,
}

impl LogLayer {
    pub fn new(options: &LogOptions, writer: Arc<LogWriter>) -> Self {
        Self {
            level: options.level,
            json: options.json,
            app_id: options.app_id.clone(),
            instance: hostname(),
            version: options.version.clone(),
            writer,
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let level = level_of(metadata);
        match scope_of(metadata.target()) {
            // Whether an error is fatal is known only with its fields.
            Some(_) => level >= self.level.min(Level::Error),
            None => self.level == Level::Debug && level >= Level::Warning,
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        if !metadata.is_span() && *metadata.level() <= tracing::Level::DEBUG && self.wants(metadata) {
            tracing::subscriber::Interest::always()
        } else {
            tracing::subscriber::Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        !metadata.is_span() && *metadata.level() <= tracing::Level::DEBUG && self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level {
            Level::Debug => LevelFilter::DEBUG,
            Level::Info => LevelFilter::INFO,
            Level::Warning => LevelFilter::WARN,
            Level::Error | Level::Fatal => LevelFilter::ERROR,
        })
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        let level = if found.fatal { Level::Fatal } else { level_of(event.metadata()) };
        if level < self.level {
            return;
        }
        let target = event.metadata().target();
        let mut fields = found.fields;
        let mut add = |name: &'static str, value: &str| fields.push((name, Value::Text(value.to_owned())));
        if !self.app_id.is_empty() {
            add("app_id", &self.app_id);
        }
        add("instance", &self.instance);
        add("scope", scope_of(target).unwrap_or(target));
        add("type", found.kind.as_deref().unwrap_or("log"));
        add("ver", &self.version);
        fields.sort_by_key(|(name, _)| *name);
        let line = Line { time: Local::now(), level: level.as_str(), message: &found.message, fields: &fields };
        self.writer.write(if self.json { line.json() } else { line.text() });
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warning,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

/// The scope of our own events; `None` for those of other libraries.
fn scope_of(target: &str) -> Option<&str> {
    let of_crate = |name: &str| target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    if target.starts_with("dapr.") || target.starts_with("ottavo.") {
        Some(target)
    } else if of_crate("components") {
        Some("dapr.contrib")
    } else if of_crate("gateway") || of_crate("ottavo") {
        Some("dapr.runtime")
    } else {
        None
    }
}

/// What an event says.
#[derive(Default)]
struct Found {
    message: String,
    fatal: bool,
    kind: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Found {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            ("fatal", Value::Bool(fatal)) => self.fatal = fatal,
            ("type", Value::Text(kind)) => self.kind = Some(kind),
            (name, value) => self.fields.push((unclashing(name), value)),
        }
    }
}

/// Names of the fixed fields are prefixed, as logrus does.
fn unclashing(name: &'static str) -> &'static str {
    match name {
        "time" => "fields.time",
        "level" => "fields.level",
        "msg" => "fields.msg",
        name => name,
    }
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(value.to_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, Value::Text(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Bool(value));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(options: &LogOptions, log: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let writer = Arc::new(LogWriter::start(Box::new(memory.clone())).unwrap());
        let subscriber = tracing_subscriber::registry().with(LogLayer::new(options, writer.clone()));
        tracing::subscriber::with_default(subscriber, log);
        writer.flush();
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn options(level: Level) -> LogOptions {
        LogOptions { level, app_id: "shop".into(), version: "1.18.2".into(), ..LogOptions::default() }
    }

    #[test]
    fn fields_are_sorted_among_the_fixed_ones() {
        let found = lines(&options(Level::Info), || {
            tracing::info!(target: "dapr.runtime.http-info", method = "GET /x", code = 200, "HTTP API Called");
        });
        let line = &found[0];
        let expected = format!(
            "level=info msg=\"HTTP API Called\" app_id=shop code=200 instance={} method=\"GET /x\" \
             scope=dapr.runtime.http-info type=log ver=1.18.2",
            hostname()
        );
        assert!(line.ends_with(&expected), "{line}");
    }

    #[test]
    fn who_asks_whether_a_level_is_written_is_told() {
        lines(&options(Level::Info), || {
            assert!(tracing::enabled!(target: "ottavo.function", tracing::Level::WARN));
            assert!(!tracing::enabled!(target: "ottavo.function", tracing::Level::DEBUG));
        });
    }

    #[test]
    fn levels_cut_off_what_is_below() {
        let log = || {
            tracing::debug!(target: "dapr.runtime", "d");
            tracing::info!(target: "dapr.runtime", "i");
            tracing::warn!(target: "dapr.runtime", "w");
            tracing::error!(target: "dapr.runtime", "e");
            crate::telemetry::logging::fatal("f");
        };
        let levels = |level| -> Vec<String> {
            lines(&options(level), log)
                .iter()
                .map(|line| line.split_once("level=").unwrap().1.split(' ').next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(levels(Level::Debug), ["debug", "info", "warning", "error", "fatal"]);
        assert_eq!(levels(Level::Warning), ["warning", "error", "fatal"]);
        assert_eq!(levels(Level::Fatal), ["fatal"]);
    }

    #[test]
    fn other_libraries_are_silent_but_for_warnings_when_debugging() {
        let log = || {
            tracing::warn!(target: "hyper::proto", "foreign");
            tracing::debug!(target: "hyper::proto", "noise");
            tracing::info!(target: "components::state", "ours");
        };
        let info = lines(&options(Level::Info), log);
        assert_eq!(info.len(), 1);
        assert!(info[0].contains("scope=dapr.contrib"), "{}", info[0]);
        assert_eq!(lines(&options(Level::Debug), log).len(), 2);
    }

    #[test]
    fn json_lines_begin_with_the_app() {
        let options = LogOptions { json: true, ..options(Level::Info) };
        let found = lines(&options, || tracing::info!(target: "dapr.runtime", r#type = "request", "m"));
        assert!(found[0].starts_with(r#"{"app_id":"shop","instance":"#), "{}", found[0]);
        assert!(found[0].contains(r#""type":"request""#), "{}", found[0]);
    }
}
