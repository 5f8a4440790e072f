//! What a container becomes: a function with a name, an owner, a module and a spec.

use std::path::Path;

use serde_json::{Map, Value};

use crate::bundle::Spec;
use crate::gateway::Gateway;
use crate::image::{Image, Module};
use crate::record::Record;
use crate::{manifest, name};

/// A function that is not yet at its gateway.
pub struct Plan {
    pub record: Record,
    pub gateway: Gateway,
    pub module: Module,
    pub spec: Map<String, Value>,
}

impl Plan {
    /// Reads what a container says, with its image's files in their place.
    ///
    /// # Errors
    /// No module, a manifest that cannot be read, or an address that is none.
    pub fn of(spec: &Spec, bundle: &Path, namespace: &str, id: &str) -> Result<Self, String> {
        let annotations = &spec.annotations;
        let gateway = Gateway::of(annotations)?;
        let image = Image::open(&spec.rootfs(bundle))?;
        let module = image.module(&spec.process.args, &spec.process.cwd)?;
        let file = image.manifest(&module)?;
        let made = manifest::spec(annotations, file.as_deref(), &spec.process, &spec.linux.resources)?;
        let record = Record {
            name: name::function(annotations, id),
            owner: name::owner(annotations, namespace, id),
            admin: gateway.address().to_owned(),
            is_trusted: gateway.is_trusted(),
        };
        Ok(Self { record, gateway, module, spec: made })
    }
}
