//! `secretstores.local.env`: the sidecar's environment variables, but not its own settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::component::{Built, InitContext, Spec};
use crate::secretstores::{Features, SecretData, SecretStore};
use crate::{Metadata, Result};

pub const PROPERTIES: &[&str] = &["prefix"];

/// Builds the store; nothing can fail.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let prefix = spec.properties.get(&["prefix"]).unwrap_or_default().to_owned();
    Ok(Built::SecretStore(Arc::new(LocalEnv { prefix })))
}

/// The store: reads the environment at each call.
pub struct LocalEnv {
    /// Put before every name that is asked for, taken off every name that is listed.
    prefix: String,
}

#[async_trait]
impl SecretStore for LocalEnv {
    fn features(&self) -> Features {
        Features::default()
    }

    /// An absent or hidden variable is the empty text, as in daprd.
    async fn get(&self, name: &str, _metadata: &Metadata) -> Result<SecretData> {
        let variable = format!("{}{name}", self.prefix);
        let value = if is_hidden(&variable) {
            tracing::warn!("Access to env var {name} is forbidden");
            String::new()
        } else if variable.is_empty() || variable.contains(['=', '\0']) {
            // No variable can have such a name, and the system call would panic on it.
            String::new()
        } else {
            std::env::var_os(&variable).unwrap_or_default().to_string_lossy().into_owned()
        };
        Ok(SecretData::from([(name.to_owned(), value)]))
    }

    async fn bulk_get(&self, _metadata: &Metadata) -> Result<BTreeMap<String, SecretData>> {
        let mut secrets = BTreeMap::new();
        for (variable, value) in std::env::vars_os() {
            let variable = variable.to_string_lossy();
            let Some(name) = variable.strip_prefix(self.prefix.as_str()) else { continue };
            if name.is_empty() || is_hidden(&variable) {
                continue;
            }
            let value = value.to_string_lossy().into_owned();
            secrets.insert(name.to_owned(), SecretData::from([(name.to_owned(), value)]));
        }
        Ok(secrets)
    }
}

/// The sidecar's own settings and the token that it shows to the application.
fn is_hidden(variable: &str) -> bool {
    let upper = variable.to_uppercase();
    upper == "APP_API_TOKEN" || upper.starts_with("DAPR_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn own_settings_are_hidden_also_behind_a_prefix() {
        for (prefix, name) in
            [("", "APP_API_TOKEN"), ("", "dapr_http_port"), ("DAPR_", "HTTP_PORT"), ("APP_", "API_TOKEN")]
        {
            let store = LocalEnv { prefix: prefix.to_owned() };
            assert!(is_hidden(&format!("{prefix}{name}")));
            assert_eq!(store.get(name, &Metadata::new()).await.unwrap()[name], "");
        }
    }

    #[tokio::test]
    async fn a_name_that_no_variable_can_have_is_empty() {
        let store = LocalEnv { prefix: String::new() };
        for name in ["", "a=b", "a\0b"] {
            assert_eq!(store.get(name, &Metadata::new()).await.unwrap()[name], "");
        }
    }

    #[tokio::test]
    async fn the_prefix_is_taken_off_listed_names() {
        let store = LocalEnv { prefix: "PA".to_owned() };
        let all = store.bulk_get(&Metadata::new()).await.unwrap();
        assert_eq!(all["TH"]["TH"], std::env::var("PATH").unwrap());
    }
}
