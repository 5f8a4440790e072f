//! The metadata that all WebAssembly components have.

use std::time::Duration;

use ::components::metadata::Properties;

use crate::digest::Pins;
use crate::engine::Engine;
use crate::error::Error;
use crate::module::Module;
use crate::settings::Limits;
use crate::source::Source;

/// Where a component's module is and what it may use.
///
/// `url` and `strictSandbox` are daprd's (1.18); `sha256`, `md5`, `memoryLimit` and `timeout` are this gateway's.
#[derive(Debug, Clone)]
pub struct Options {
    pub source: Source,
    pub strict_sandbox: bool,
    pub pins: Pins,
    pub limits: Limits,
}

impl Options {
    /// `time`: what one call may compute unless `timeout` says otherwise.
    ///
    /// # Errors
    /// With daprd's text and its beginning where it has one.
    pub fn read(properties: &Properties, time: Duration) -> Result<Self, String> {
        let failed = |reason: String| format!("wasm: failed to parse metadata: {reason}");
        let source = properties.get(&["url"]).unwrap_or_default();
        let source = Source::parse(source).map_err(|error| failed(error.to_string()))?;
        let mut limits = Limits { time, ..Limits::default() };
        let time = properties.duration(&["timeout"]).map_err(|error| failed(error.to_string()))?;
        if let Some(time) = time.filter(|time| !time.is_zero()) {
            limits.time = time;
        }
        if let Some(text) = properties.get(&["memoryLimit"]).filter(|text| !text.is_empty()) {
            limits.memory = memory(text).ok_or_else(|| {
                failed(format!("invalid value for memoryLimit: '{text}' is not a size up to 4Gi, such as 64Mi"))
            })?;
        }
        let text = |name| properties.get(&[name]).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            source,
            strict_sandbox: properties.flag(&["strictSandbox"]).unwrap_or_default(),
            pins: Pins { sha256: text("sha256"), md5: text("md5") },
            limits,
        })
    }

    /// Reads and compiles the module; `what` is how daprd's text names it (`guest`, `binary`).
    ///
    /// # Errors
    /// With daprd's text and its beginning where it has one.
    pub async fn load(&self, engine: &Engine, what: &str) -> Result<Module, String> {
        self.source.load(engine, &self.pins).await.map_err(|error| match error {
            Error::Compile { .. } => format!("wasm: error compiling {what}: {error}"),
            Error::Source(_) | Error::Pin { .. } => format!("wasm: failed to parse metadata: {error}"),
            other => format!("wasm: {other}"),
        })
    }
}

/// Bytes, with `Ki`, `Mi` or `Gi` behind the number.
fn memory(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    let bytes = text[..digits].parse::<usize>().ok()?.checked_mul(factor)?;
    (bytes > 0 && bytes <= crate::settings::LARGEST_MEMORY).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Options, String> {
        let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Options::read(&Properties::new(entries), Duration::from_secs(1))
    }

    #[test]
    fn options_have_daprds_names_and_ours() {
        let options = read(&[
            ("URL", "file:///x.wasm"),
            ("strictSandbox", "true"),
            ("memoryLimit", "16Mi"),
            ("timeout", "250ms"),
            ("sha256", "ab"),
        ])
        .unwrap();
        assert!(options.strict_sandbox);
        assert_eq!((options.limits.memory, options.limits.time), (16 << 20, Duration::from_millis(250)));
        assert_eq!(options.pins, Pins { sha256: Some("ab".into()), md5: None });
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(read(&[]).unwrap_err(), "wasm: failed to parse metadata: missing url");
        for limit in ["0", "5Gi", "many", "1Ti"] {
            assert!(
                read(&[("url", "file:///x"), ("memoryLimit", limit)]).unwrap_err().contains("memoryLimit"),
                "{limit}"
            );
        }
    }
}
