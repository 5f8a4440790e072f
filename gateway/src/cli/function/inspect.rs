//! `ottavo function inspect`: what is in a module, and whether a gateway could run it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use wasm_host::inspect::Inspection;
use wasm_host::sidecar::Grants;
use wasm_host::{Engine, Kind, Settings, digest};

use super::manifest::Project;
use super::{Failure, Outcome, cache, print, print_line, runtime};
use crate::config::Environment;

#[derive(Debug, Args)]
pub struct Options {
    /// Module, or folder of a function
    #[arg(value_name = "FILE", default_value = ".")]
    file: PathBuf,
    /// List every import and export
    #[arg(long, short)]
    all: bool,
}

pub fn run(options: &Options) -> Outcome {
    let is_module = options.file.extension().is_some_and(|extension| extension == "wasm");
    let project = if is_module { None } else { Some(Project::read(&options.file)?) };
    let module = project.as_ref().map_or_else(|| Ok(options.file.clone()), Project::module)?;
    let look = Look::at(&module)?;
    print(&look.summary());
    if options.all {
        print(&look.lists());
    }
    if let Some(project) = project {
        for advice in look.missing_grants(&project.spec.grants) {
            print_line(&format!("  note     {advice}"));
        }
    }
    look.check().map_err(Failure)
}

/// A module that was looked at.
pub struct Look {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
    inspection: Inspection,
}

/// What needs a grant: module and function, or package and interface; what it does; the grant; its form.
type Capability = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CALLS: [Capability; 15] = [
    ("env", "proxy_get_state", "reads state", "state", "STORE:read"),
    ("env", "proxy_set_state", "changes state", "state", "STORE"),
    ("env", "proxy_delete_state", "changes state", "state", "STORE"),
    ("wasi:keyvalue", "store", "uses state", "state", "STORE"),
    ("ottavo:runtime", "state", "uses state", "state", "STORE"),
    ("env", "proxy_publish_event", "publishes", "publish", "PUBSUB/TOPIC"),
    ("wasi:messaging", "producer", "publishes", "publish", "PUBSUB/TOPIC"),
    ("ottavo:runtime", "publish", "publishes", "publish", "PUBSUB/TOPIC"),
    ("env", "proxy_get_secret", "reads secrets", "secrets", "STORE/NAME"),
    ("ottavo:runtime", "secrets", "reads secrets", "secrets", "STORE/NAME"),
    ("env", "proxy_invoke_service", "invokes", "invoke", "ID"),
    ("ottavo:runtime", "invocation", "invokes", "invoke", "ID"),
    ("env", "proxy_invoke_binding", "calls bindings", "bindings", "NAME"),
    ("ottavo:runtime", "bindings", "calls bindings", "bindings", "NAME"),
    ("env", "proxy_http_call", "sends requests", "hosts", "https://HOST"),
];

impl Look {
    /// Reads and compiles the module.
    pub fn at(path: &Path) -> Outcome<Self> {
        Self::cached(path, cache::folder(&Environment::of_process()))
    }

    /// The same, with compiled modules in this folder.
    pub fn cached(path: &Path, cache: Option<PathBuf>) -> Outcome<Self> {
        let failed = |reason: String| Failure::new(format!("{}: {reason}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed("there is no such module: run `ottavo function build`".to_owned()),
            _ => failed(error.to_string()),
        })?;
        let sha256 = hex::encode(digest::sha256(&bytes));
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let inspection = runtime()?.block_on(async {
            // As a gateway's, which then finds the module compiled.
            let engine = Engine::new(Settings { cache, ..Settings::default() })?;
            Inspection::of(&engine, &engine.module(&name, bytes.clone()).await?)
        });
        let inspection = inspection.map_err(|error| failed(error.to_string()))?;
        Ok(Self { path: path.to_owned(), bytes, sha256, inspection })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it can call that needs a grant.
    fn calls(&self) -> impl Iterator<Item = &'static Capability> {
        CALLS.iter().filter(|(module, name, ..)| self.inspection.calls(module, name))
    }

    /// A few lines for a person.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let kind = match self.inspection.kind {
            Some(Kind::ProxyWasm) => "proxy-wasm",
            Some(Kind::HttpWasm) => "http-wasm, a middleware",
            Some(Kind::Command) => "WASI command, a binding",
            Some(Kind::Component) => "component",
            None => "unknown",
        };
        let mut calls: Vec<&str> = self.calls().map(|(_, _, what, ..)| *what).collect();
        calls.dedup();
        // Writing to a text does not fail.
        let _ = writeln!(text, "{}", self.path.display());
        let _ = writeln!(text, "  kind     {kind}");
        let memory = self.inspection.memory.map(|memory| format!(", and {} of memory at its start", size(memory)));
        let _ = writeln!(text, "  size     {}{}", size(self.bytes.len() as u64), memory.unwrap_or_default());
        let _ = writeln!(text, "  sha256   {}", self.sha256);
        if !calls.is_empty() {
            let _ = writeln!(text, "  it       {}", calls.join(", "));
        }
        for import in self.inspection.missing() {
            let _ = writeln!(text, "  missing  {}.{}", import.module, import.name);
        }
        text
    }

    /// Every import, by module, and every export.
    pub fn lists(&self) -> String {
        let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for import in &self.inspection.imports {
            modules.entry(&import.module).or_default().push(&import.name);
        }
        let mut text = String::new();
        for (module, names) in modules {
            let _ = writeln!(text, "  imports of {module}");
            names.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
        }
        text.push_str("  exports\n");
        self.inspection.exports.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
        text
    }

    /// # Errors
    /// Why no gateway could run it.
    pub fn check(&self) -> Result<(), String> {
        if self.inspection.kind.is_none() {
            return Err(
                "its exports are of no kind of guest: a proxy-wasm module has proxy_abi_version_0_2_1, a WASI command _start"
                    .to_owned(),
            );
        }
        let missing: Vec<String> =
            self.inspection.missing().map(|import| format!("{}.{}", import.module, import.name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!("it imports {}, which there is not here: was it built for another host?", missing.join(", ")))
    }

    /// Lines of the manifest that are missing for what the module can call.
    pub fn missing_grants(&self, grants: &Grants) -> Vec<String> {
        let mut advice: Vec<String> = self
            .calls()
            .filter(|(_, _, _, list, _)| granted(grants, list).is_empty())
            .map(|(_, _, what, list, form)| {
                format!("it {what}, and nothing of the kind is granted: spec.grants.{list}: [\"{form}\"] would")
            })
            .collect();
        advice.dedup();
        advice
    }
}

fn granted<'a>(grants: &'a Grants, list: &str) -> &'a [String] {
    match list {
        "state" => &grants.state,
        "publish" => &grants.publish,
        "secrets" => &grants.secrets,
        "invoke" => &grants.invoke,
        "bindings" => &grants.bindings,
        _ => &grants.hosts,
    }
}

/// Bytes as a person reads them.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Look {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guest.wasm");
        std::fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        Look::cached(&path, None).unwrap()
    }

    #[test]
    fn a_module_tells_what_it_calls_and_what_is_not_granted() {
        let look = look(
            r#"(module
                (import "env" "proxy_get_state" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
                (import "env" "proxy_set_state" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
                (memory (export "memory") 2) (func (export "proxy_abi_version_0_2_1")))"#,
        );
        let summary = look.summary();
        assert!(summary.contains("  kind     proxy-wasm\n"), "{summary}");
        assert!(summary.contains("128.0 KiB of memory"), "{summary}");
        assert!(summary.contains("  it       reads state, changes state\n"), "{summary}");
        assert_eq!(look.check(), Ok(()));
        let advice = look.missing_grants(&Grants::default());
        assert!(advice[0].ends_with(r#"spec.grants.state: ["STORE:read"] would"#), "{advice:?}");
        let grants = Grants { state: vec!["statestore".into()], ..Grants::default() };
        assert_eq!(look.missing_grants(&grants), Vec::<String>::new());
        assert!(look.lists().contains("  imports of env\n    proxy_get_state\n"), "{}", look.lists());
    }

    #[test]
    fn what_no_gateway_could_run_is_said() {
        let other = look(r#"(module (import "env" "fetch" (func)) (func (export "proxy_abi_version_0_2_1")))"#);
        assert!(other.summary().contains("  missing  env.fetch\n"));
        assert!(other.check().unwrap_err().starts_with("it imports env.fetch, which there is not here"));
        assert!(look("(module)").check().unwrap_err().starts_with("its exports are of no kind of guest"));
        let Failure(text) = Look::cached(Path::new("no-such.wasm"), None).err().unwrap();
        assert!(text.contains("ottavo function build"), "{text}");
    }

    #[test]
    fn sizes_are_read_by_people() {
        assert_eq!([size(17), size(17_132), size(2_800_000)], ["17 bytes", "16.7 KiB", "2.7 MiB"]);
    }
}
