//! WASI command modules: a fresh guest for each call, as a program that is started.

use bytes::Bytes;
use wasmtime::{InstancePre, Linker};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::module::{Module, Type};
use crate::settings::Limits;
use crate::store::{Guest, State};
use crate::wasi::{self, Wasi};

/// A command that can be run any number of times, also at once.
pub struct Command {
    engine: Engine,
    module: Module,
    pre: InstancePre<State<()>>,
    limits: Limits,
    is_strict: bool,
}

/// What one run gets.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Behind the program's name, which is the module's.
    pub arguments: Vec<String>,
    pub input: Bytes,
}

/// What one run has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub output: Bytes,
    pub errors: Bytes,
    /// How it ended; `Ok` is a return from `_start` or the exit code 0.
    pub end: Result<()>,
}

impl Command {
    /// `is_strict`: see [`crate::components::bindings`].
    ///
    /// # Errors
    /// [`Error::Contract`] without a `_start`, [`Error::Link`] for imports that are not WASI preview 1.
    pub fn new(engine: &Engine, module: Module, limits: Limits, is_strict: bool) -> Result<Self> {
        module.expect_function("_start", &[] as &[Type], &[])?;
        let pre = module.link(Kind::Command, || {
            let mut linker = Linker::new(engine.wasm());
            wasi::add(&mut linker)?;
            Ok(linker)
        })?;
        Ok(Self { engine: engine.clone(), module, pre, limits, is_strict })
    }

    /// Runs it to its end. Dropping the future stops the guest.
    ///
    /// # Errors
    /// No guest could be made. How the guest ended is in [`Outcome::end`].
    pub async fn run(&self, run: Run) -> Result<Outcome> {
        let mut wasi = Wasi::new(self.is_strict);
        let arguments = run.arguments.into_iter().map(String::into_bytes);
        wasi.arguments = std::iter::once(self.module.name().as_bytes().to_vec()).chain(arguments).collect();
        wasi.input = run.input;
        let name = self.module.name().clone();
        let mut guest = Guest::new(&self.engine, name, &self.pre, self.limits, wasi, ()).await?;
        let start = guest.function::<(), ()>("_start");
        let start = start.ok_or_else(|| Error::Contract {
            guest: self.module.name().to_string(),
            reason: "guest doesn't export func[_start]".into(),
        })?;
        let end = match guest.call(&start, ()).await {
            Err(Error::Exit(0)) => Ok(()),
            // A guest without memory finds out here that there is no room for it.
            Err(error @ Error::Busy(_)) => return Err(error),
            other => other,
        };
        let wasi = &mut guest.state().wasi;
        Ok(Outcome { output: wasi.output.take().into(), errors: wasi.errors.take().into(), end })
    }
}
