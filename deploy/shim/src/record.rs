//! What is written into a container's folder before its function is put to the gateway, so that it can be taken away
//! when this process is no more.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "ottavo.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The function's.
    pub name: String,
    pub owner: String,
    /// The gateway's address.
    pub admin: String,
    /// Whether that address was the node's own choice, and gets the token.
    pub is_trusted: bool,
}

impl Record {
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, bundle: &Path) -> Result<(), String> {
        let path = path(bundle);
        let text = serde_json::to_string(self).map_err(|error| error.to_string())?;
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What was written; `None`: nothing was put to a gateway.
    pub fn read(bundle: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(path(bundle)).ok()?).ok()
    }

    pub fn remove(bundle: &Path) {
        // It goes with the folder in any case.
        let _ = std::fs::remove_file(path(bundle));
    }
}

fn path(bundle: &Path) -> PathBuf {
    bundle.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_until_it_is_removed() {
        let bundle = tempfile::tempdir().unwrap();
        let record = Record { name: "a".into(), owner: "n/a".into(), admin: "unix:///s".into(), is_trusted: true };
        record.write(bundle.path()).unwrap();
        assert_eq!(Record::read(bundle.path()), Some(record));
        Record::remove(bundle.path());
        assert_eq!(Record::read(bundle.path()), None);
    }
}
