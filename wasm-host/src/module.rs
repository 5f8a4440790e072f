//! A compiled module with its name.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::Component;
use wasmtime::{ExternType, InstancePre, Linker, UnknownImportError};

use crate::abi::component::Handlers;
use crate::error::{Error, Result};
use crate::kind::Kind;

/// A compiled module, or a component. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    name: Arc<str>,
    code: Arc<Code>,
}

/// Compiled code, shared by all modules of the same bytes.
pub(crate) struct Code {
    pub layer: Compiled,
    /// Its imports as they were resolved, by the type of the guests: what a hundred functions have in common is done once.
    linked: Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
}

/// What the compiler makes of the two layers of the binary format.
pub(crate) enum Compiled {
    Module(wasmtime::Module),
    Component(Component),
}

impl From<Compiled> for Code {
    fn from(layer: Compiled) -> Self {
        Self { layer, linked: Mutex::default() }
    }
}

impl Code {
    /// What was linked before for guests of this type, or what `link` gives, which is kept.
    fn linked<P>(&self, link: impl FnOnce() -> Result<P>) -> Result<P>
    where
        P: Any + Clone + Send + Sync,
    {
        let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = linked.get(&TypeId::of::<P>()).and_then(|known| known.downcast_ref::<P>());
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let made = link()?;
        linked.insert(TypeId::of::<P>(), Box::new(made.clone()));
        Ok(made)
    }
}

impl Module {
    pub(crate) fn new(name: &str, code: Arc<Code>) -> Self {
        Self { name: name.into(), code }
    }

    /// What logs and errors call it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is, judged by its exports.
    pub fn kind(&self) -> Option<Kind> {
        match &self.code.layer {
            Compiled::Module(module) => Kind::of(module),
            Compiled::Component(_) => Some(Kind::Component),
        }
    }

    /// What a component can be asked to do; nothing for the other kinds.
    pub fn handlers(&self) -> Handlers {
        match &self.code.layer {
            Compiled::Module(_) => Handlers::default(),
            Compiled::Component(component) => Handlers::of(component),
        }
    }

    /// # Errors
    /// [`Error::Compile`]: it is a component.
    pub(crate) fn core(&self) -> Result<&wasmtime::Module> {
        match &self.code.layer {
            Compiled::Module(module) => Ok(module),
            Compiled::Component(_) => Err(self.wrong_layer(
                "this is a component of the component model; here a core module is needed (target wasm32-wasip1, not wasm32-wasip2)",
            )),
        }
    }

    /// # Errors
    /// [`Error::Compile`]: it is a core module.
    pub(crate) fn component(&self) -> Result<&Component> {
        match &self.code.layer {
            Compiled::Module(_) => Err(self.wrong_layer(
                "this is a core module; here a component of the component model is needed (target wasm32-wasip2, not wasm32-wasip1)",
            )),
            Compiled::Component(component) => Ok(component),
        }
    }

    fn wrong_layer(&self, reason: &str) -> Error {
        Error::Compile { guest: self.name.to_string(), reason: reason.to_owned() }
    }

    /// Resolves the imports, once for all guests of these bytes. `linker` gives the functions of the kind, if they are
    /// needed: the same in each call.
    ///
    /// # Errors
    /// [`Error::Link`] with the first import that the linker does not have, or has with another type.
    pub(crate) fn link<T: 'static>(
        &self,
        kind: Kind,
        linker: impl FnOnce() -> wasmtime::Result<Linker<T>>,
    ) -> Result<InstancePre<T>> {
        let module = self.core()?;
        self.code.linked(|| {
            let linker = linker().map_err(|error| Error::Engine(error.to_string()))?;
            linker.instantiate_pre(module).map_err(|error| self.unlinked(kind, &error))
        })
    }

    /// The same for a component, whose imports `link` resolves.
    ///
    /// # Errors
    /// Those of `link`.
    pub(crate) fn link_component<P>(&self, link: impl FnOnce() -> Result<P>) -> Result<P>
    where
        P: Any + Clone + Send + Sync,
    {
        self.code.linked(link)
    }

    fn unlinked(&self, kind: Kind, error: &wasmtime::Error) -> Error {
        let guest = self.name.to_string();
        match error.downcast_ref::<UnknownImportError>() {
            Some(unknown) => Error::Link {
                guest,
                kind: kind.guests(),
                module: unknown.module().to_owned(),
                name: unknown.name().to_owned(),
                hint: hint(unknown.module()),
            },
            None => Error::Contract { guest, reason: format!("{error:#}") },
        }
    }

    /// # Errors
    /// [`Error::Contract`] unless the module exports the function `name` with this signature; a component is refused.
    pub(crate) fn expect_function(&self, name: &str, parameters: &[Type], results: &[Type]) -> Result<()> {
        let contract = |reason| Err(Error::Contract { guest: self.name.to_string(), reason });
        let Some(ExternType::Func(function)) = self.core()?.get_export(name) else {
            return contract(format!("guest doesn't export func[{name}]"));
        };
        let is_same = |types: &mut dyn Iterator<Item = wasmtime::ValType>, wanted: &[Type]| {
            types.map(|one| Type::of(&one)).eq(wanted.iter().map(|one| Some(*one)))
        };
        if is_same(&mut function.params(), parameters) && is_same(&mut function.results(), results) {
            return Ok(());
        }
        let list = |types: &[Type]| types.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
        contract(format!(
            "guest exports the wrong signature for func[{name}]. should be ({}) -> ({})",
            list(parameters),
            list(results)
        ))
    }
}

/// The number types that the contracts use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    I32,
    I64,
}

impl Type {
    fn of(value: &wasmtime::ValType) -> Option<Self> {
        match value {
            wasmtime::ValType::I32 => Some(Self::I32),
            wasmtime::ValType::I64 => Some(Self::I64),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

fn hint(module: &str) -> String {
    match module {
        "wasi_snapshot_preview1" | "wasi_unstable" => ": it is no function of WASI preview 1".into(),
        "http_handler" => ": it is no function of http-wasm, or the module belongs under middleware.http.wasm".into(),
        "default-outgoing-HTTP" | "types" | "streams" => ": the drafts of wasi-http of 2023 are not served".into(),
        "env" => ": was the module built for another host?".into(),
        _ => String::new(),
    }
}
