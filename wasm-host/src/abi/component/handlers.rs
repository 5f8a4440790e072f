//! What components export and import, and what they are told when it is something else.

use wasmtime::component::Component;

use crate::error::{Error, Result};

/// Packages of WASI 0.2; guests of every 0.2 release get them.
const WASI: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// Everything else that components can import. Drafts match by their whole name.
const OFFERED: [&str; 13] = [
    "ottavo:runtime/bindings@0.1.0",
    "ottavo:runtime/invocation@0.1.0",
    "ottavo:runtime/publish@0.1.0",
    "ottavo:runtime/secrets@0.1.0",
    "ottavo:runtime/state@0.1.0",
    "ottavo:runtime/types@0.1.0",
    "wasi:config/store@0.2.0-draft",
    "wasi:config/store@0.2.0-rc.1",
    "wasi:keyvalue/atomics@0.2.0-draft2",
    "wasi:keyvalue/batch@0.2.0-draft2",
    "wasi:keyvalue/store@0.2.0-draft2",
    "wasi:messaging/producer@0.2.0-draft",
    "wasi:messaging/types@0.2.0-draft",
];

const MESSAGES: &str = "wasi:messaging/incoming-handler@0.2.0-draft";
const EVENTS: &str = "ottavo:runtime/event-handler@0.1.0";

/// What a component can be asked to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handlers {
    /// `wasi:http/incoming-handler` of 0.2: it answers requests.
    pub http: bool,
    /// `wasi:messaging/incoming-handler`: it takes messages.
    pub messages: bool,
    /// `ottavo:runtime/event-handler`: it takes messages and says what becomes of them.
    pub events: bool,
    /// `wasi:cli/run` of 0.2: it is a command.
    pub run: bool,
}

impl Handlers {
    pub(crate) fn of(component: &Component) -> Self {
        let mut handlers = Self::default();
        for (name, _) in component.component_type().exports(component.engine()) {
            match name {
                MESSAGES => handlers.messages = true,
                EVENTS => handlers.events = true,
                _ if is_wasi(name, "wasi:http/incoming-handler") => handlers.http = true,
                _ if is_wasi(name, "wasi:cli/run") => handlers.run = true,
                _ => {}
            }
        }
        handlers
    }
}

/// Refuses a component that could not be called as a function, or imports what nobody offers.
///
/// # Errors
/// [`Error::Contract`] with what is wanted and what is offered.
pub(super) fn check(guest: &str, component: &Component) -> Result<Handlers> {
    let contract = |reason: String| Err(Error::Contract { guest: guest.to_owned(), reason });
    let about = component.component_type();
    for (name, _) in about.imports(component.engine()) {
        if let Some(reason) = refused_import(name) {
            return contract(format!("the component {guest} imports {name}, {reason}"));
        }
    }
    let handlers = Handlers::of(component);
    if handlers.http || handlers.messages || handlers.events {
        return Ok(handlers);
    }
    let exports: Vec<&str> = about.exports(component.engine()).map(|(name, _)| name).collect();
    let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    contract(format!(
        "the component {guest} exports {found}; a function exports wasi:http/incoming-handler@0.2, {MESSAGES} or {EVENTS}"
    ))
}

/// Why an import cannot be had; `None`: it can.
pub(crate) fn refused_import(name: &str) -> Option<String> {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    let package = interface.split_once('/').map_or(interface, |(package, _)| package);
    if WASI.contains(&package) {
        let is_served = is_release(version);
        return (!is_served)
            .then(|| format!("which is not WASI 0.2: build it for wasm32-wasip2, or with {package}@0.2"));
    }
    if OFFERED.contains(&name) {
        return None;
    }
    let others: Vec<&str> = OFFERED.into_iter().filter(|one| one.split('@').next() == Some(interface)).collect();
    Some(match others.is_empty() {
        true => "which nobody here offers".to_owned(),
        false => format!("here there is {}: build it with that draft", others.join(" and ")),
    })
}

fn is_wasi(name: &str, interface: &str) -> bool {
    name.split_once('@').is_some_and(|(own, version)| own == interface && is_release(version))
}

/// 0.2.0, 0.2.1 and so on; no release candidate.
fn is_release(version: &str) -> bool {
    version
        .strip_prefix("0.2.")
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_of_wasi_0_2_is_served_and_other_versions_are_named() {
        for name in ["wasi:io/streams@0.2.0", "wasi:http/types@0.2.12"] {
            assert_eq!(refused_import(name), None, "{name}");
        }
        for name in ["wasi:http/types@0.3.0", "wasi:http/types@0.2.0-rc-2023-11-10", "wasi:io/streams"] {
            assert!(refused_import(name).is_some_and(|reason| reason.contains("0.2")), "{name}");
        }
    }

    #[test]
    fn a_draft_that_is_not_served_is_told_which_one_is() {
        assert_eq!(refused_import("wasi:keyvalue/store@0.2.0-draft2"), None);
        let reason = refused_import("wasi:keyvalue/store@0.2.0-draft").unwrap();
        assert!(reason.contains("wasi:keyvalue/store@0.2.0-draft2"), "{reason}");
        let reason = refused_import("wasi:config/store@0.3.0").unwrap();
        assert!(reason.contains("0.2.0-draft and wasi:config/store@0.2.0-rc.1"), "{reason}");
        assert!(refused_import("wasi:nn/tensor@0.2.0").unwrap().contains("nobody"));
    }
}
