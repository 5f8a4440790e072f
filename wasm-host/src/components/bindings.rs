//! `bindings.wasm`: a WASI command as an output binding (as daprd 1.18).
//!
//! Each call starts the module anew: the module's name and the request's `args` (split at commas) are its arguments,
//! the request's data its input, what it writes to its output the answer. `strictSandbox` takes real clocks, sleep and
//! true chance away.

use std::sync::Arc;
use std::time::Duration;

use ::components::bindings::{InvokeReply, InvokeRequest, OutputBinding};
use ::components::component::{Built, Spec};
use ::components::{Error, Metadata, Result};
use async_trait::async_trait;

use super::options::Options;
use crate::abi::command::{Command, Run};
use crate::shared::SharedEngine;

pub const PROPERTIES: &[&str] = &["url", "strictSandbox", "sha256", "md5", "memoryLimit", "timeout"];

/// What a call may compute unless `timeout` says otherwise: daprd has no limit, and commands may have much to do.
const TIME: Duration = Duration::from_secs(60);

/// How much of the guest's standard error goes into the log.
const LAST_WORDS: usize = 1000;

/// Loads the module.
pub async fn build(engine: SharedEngine, spec: Spec) -> Result<Built> {
    let options = Options::read(&spec.properties, TIME).map_err(Error::config)?;
    let engine = engine.get().map_err(|error| Error::config(error.to_string()))?;
    let module = options.load(&engine, "binary").await.map_err(Error::config)?;
    let command = Command::new(&engine, module, options.limits, options.strict_sandbox)
        .map_err(|error| Error::config(format!("wasm: {error}")))?;
    Ok(Built::Binding { input: None, output: Some(Arc::new(Wasm { command })) })
}

struct Wasm {
    command: Command,
}

#[async_trait]
impl OutputBinding for Wasm {
    fn operations(&self) -> Vec<String> {
        vec!["execute".to_owned()]
    }

    async fn invoke(&self, request: InvokeRequest) -> Result<Option<InvokeReply>> {
        let arguments = request.metadata.get("args").filter(|arguments| !arguments.is_empty());
        let arguments = arguments.into_iter().flat_map(|arguments| arguments.split(',')).map(str::to_owned).collect();
        let run = Run { arguments, input: request.data };
        let outcome = self.command.run(run).await.map_err(|error| Error::other(error.to_string()))?;
        if let Err(error) = outcome.end {
            let words = last_words(&outcome.errors);
            tracing::error!(target: crate::log::SCOPE, "bindings.wasm: {error}{words}");
            return Err(Error::other(error.brief()));
        }
        Ok(Some(InvokeReply { data: outcome.output, metadata: Metadata::default(), content_type: None }))
    }
}

/// What the guest said on its standard error is most often the reason.
fn last_words(errors: &[u8]) -> String {
    let tail = crate::wasi::printable(&errors[errors.len().saturating_sub(LAST_WORDS)..]);
    if tail.trim().is_empty() { String::new() } else { format!("; its last words: {}", tail.trim()) }
}
