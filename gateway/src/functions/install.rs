//! Functions that no manifest declares: they are installed, replaced and taken away while the gateway runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::slot::Slot;
use super::{Functions, SCOPE};
use crate::config::function::Function;

/// A function that no manifest declares.
pub struct Installed {
    pub function: Function,
    /// Whose it is: `GROUP/ID`. Others of the group may put another in its place, nobody else.
    pub owner: Option<String>,
}

/// Why a change was not made; everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0} is not registered")]
    Unknown(String),
    #[error("{name} is declared in {}: it is changed there", .file.display())]
    Declared { name: String, file: PathBuf },
    #[error("{name} is there already, and belongs to {owner}")]
    Owned { name: String, owner: String },
    #[error("the function {name} cannot be made ready: {reason}")]
    Module { name: String, reason: String },
    #[error("the function {name} would not outlive a restart: {reason}")]
    Kept { name: String, reason: String },
}

impl Functions {
    /// Adds a function, or changes one until the manifests are read again. A module that cannot be had yet is waited for.
    pub async fn install(&self, Installed { function, owner }: Installed) {
        let mut changing = self.0.changing.lock().await;
        let name = function.name.clone();
        if !changing.slots.contains_key(&name) {
            changing.installed.insert(name);
        }
        self.put(&mut changing, function, owner).await;
        self.index(&changing);
        self.watch(&mut changing);
    }

    /// The same once its module is ready, and `keep` has written it down; until then the one of its name serves.
    ///
    /// # Errors
    /// The name is somebody else's, the module cannot be made ready, or it cannot be written down.
    pub async fn replace(
        &self,
        Installed { function, owner }: Installed,
        keep: impl FnOnce() -> Result<(), String>,
    ) -> Result<Arc<Slot>, Refused> {
        let mut changing = self.0.changing.lock().await;
        let name = function.name.clone();
        let slot = match changing.slots.get(&name) {
            None => Slot::new(function, owner),
            Some(old) if !changing.installed.contains(&name) => {
                return Err(Refused::Declared { name, file: old.manifest().file.clone() });
            }
            Some(old) => {
                let stranger = owner
                    .as_deref()
                    .is_some_and(|owner| old.owner.as_deref().is_none_or(|other| group(owner) != group(other)));
                if stranger {
                    return Err(Refused::Owned { name, owner: said(old.owner.as_deref()) });
                }
                old.successor(function, owner)
            }
        };
        let slot = Arc::new(slot);
        self.load(&slot).await.map_err(|reason| Refused::Module { name: name.clone(), reason })?;
        keep().map_err(|reason| Refused::Kept { name: name.clone(), reason })?;
        tracing::info!(target: SCOPE, "Function loaded: {name} ({})", slot.manifest().module);
        changing.installed.insert(name.clone());
        changing.slots.insert(name, slot.clone());
        self.index(&changing);
        self.trigger(&mut changing, &slot).await;
        self.watch(&mut changing);
        Ok(slot)
    }

    /// Takes a function away.
    pub async fn uninstall(&self, name: &str) {
        let mut changing = self.0.changing.lock().await;
        changing.installed.remove(name);
        self.remove_all(&mut changing, vec![name.to_owned()]).await;
    }

    /// Takes a function away, when it is `owner`'s if one is given; `forget` removes what was written down.
    ///
    /// # Errors
    /// There is none, or it is somebody else's.
    pub async fn take(&self, name: &str, owner: Option<&str>, forget: impl FnOnce()) -> Result<(), Refused> {
        let mut changing = self.0.changing.lock().await;
        let slot = changing.slots.get(name).ok_or_else(|| Refused::Unknown(name.to_owned()))?;
        if owner.is_some() && slot.owner.as_deref() != owner {
            return Err(Refused::Owned { name: name.to_owned(), owner: said(slot.owner.as_deref()) });
        }
        forget();
        changing.installed.remove(name);
        self.remove_all(&mut changing, vec![name.to_owned()]).await;
        Ok(())
    }
}

fn said(owner: Option<&str>) -> String {
    owner.unwrap_or("no container").to_owned()
}

/// Those who share functions: the owner but for its last part.
fn group(owner: &str) -> &str {
    owner.rsplit_once('/').map_or(owner, |(group, _)| group)
}
