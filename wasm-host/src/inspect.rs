//! What is in a module, and whether this host could run it; for those who build one.

use wasmtime::{ExternType, Linker, UnknownImportError};

use crate::abi::{component, http_wasm, proxy_wasm};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::module::Module;
use crate::store::State;
use crate::wasi;

/// A module seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `None`: its exports are of no kind that there is.
    pub kind: Option<Kind>,
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
    /// Bytes of memory that a guest begins with; `None`: it exports none, or is a component.
    pub memory: Option<u64>,
}

/// A function, or something else, that a module wants from its host. A component wants interfaces: their package stands in
/// the module's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub module: String,
    pub name: String,
    /// Whether the host has it for guests of this kind.
    pub is_there: bool,
}

impl Inspection {
    /// # Errors
    /// [`Error::Contract`] when an import is there with another type than the module wants.
    pub fn of(engine: &Engine, module: &Module) -> Result<Self> {
        let kind = module.kind();
        let missing = match kind {
            Some(Kind::Component) => return Self::of_component(module),
            Some(Kind::ProxyWasm) => proxy_wasm::missing(engine, module)?,
            Some(Kind::HttpWasm) => http_wasm::missing(engine, module)?,
            Some(Kind::Command) | None => {
                let mut linker = Linker::<State<()>>::new(engine.wasm());
                wasi::add(&mut linker).map_err(|error| Error::Engine(error.to_string()))?;
                self::missing(module, linker)?
            }
        };
        let wasm = module.core()?;
        let imports = wasm.imports().map(|import| {
            let (module, name) = (import.module().to_owned(), import.name().to_owned());
            let is_there = !missing.contains(&(module.clone(), name.clone()));
            Import { module, name, is_there }
        });
        let memory = wasm.exports().find_map(|export| match export.ty() {
            ExternType::Memory(memory) => Some(memory.minimum() * memory.page_size()),
            _ => None,
        });
        let exports = wasm.exports().map(|export| export.name().to_owned());
        Ok(Self { kind, imports: imports.collect(), exports: exports.collect(), memory })
    }

    fn of_component(module: &Module) -> Result<Self> {
        let component = module.component()?;
        let about = component.component_type();
        let imports = about.imports(component.engine()).map(|(name, _)| {
            let is_there = component::refused_import(name).is_none();
            // `namespace:package/interface@version`
            let (package, interface) = name.split_once('/').unwrap_or(("", name));
            Import { module: package.to_owned(), name: interface.to_owned(), is_there }
        });
        let exports = about.exports(component.engine()).map(|(name, _)| name.to_owned());
        Ok(Self { kind: module.kind(), imports: imports.collect(), exports: exports.collect(), memory: None })
    }

    /// The imports that this host does not have.
    pub fn missing(&self) -> impl Iterator<Item = &Import> {
        self.imports.iter().filter(|import| !import.is_there)
    }

    /// Whether it imports `name` of `module`; a version behind an interface's name does not count.
    pub fn calls(&self, module: &str, name: &str) -> bool {
        let is_it = |import: &&Import| import.module == module && import.name.split('@').next() == Some(name);
        self.imports.iter().any(|import| is_it(&import))
    }
}

/// What `linker` does not have of the module's imports: module and name.
pub(crate) fn missing<T: 'static>(module: &Module, mut linker: Linker<T>) -> Result<Vec<(String, String)>> {
    let guest = module.name().to_string();
    let contract = |error: wasmtime::Error| Error::Contract { guest: guest.clone(), reason: format!("{error:#}") };
    let mut missing = Vec::new();
    // The engine names one at a time; what was named is put in, and asked for the next.
    while let Err(error) = linker.instantiate_pre(module.core()?) {
        let Some(unknown) = error.downcast_ref::<UnknownImportError>() else { return Err(contract(error)) };
        let (module, name) = (unknown.module().to_owned(), unknown.name().to_owned());
        let kind = unknown.ty();
        missing.push((module.clone(), name.clone()));
        let ExternType::Func(kind) = kind else { break };
        linker.func_new(&module, &name, kind, |_, _, _| Ok(())).map_err(contract)?;
    }
    Ok(missing)
}
