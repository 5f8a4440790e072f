//! The command line that containerd gives: words behind one dash or two, with a value behind a space or `=`.

use std::path::PathBuf;

/// What the shim is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start,
    Delete,
    /// Our own: `start` leaves a process behind that does this.
    Serve,
    Version,
    /// containerd 2 asks what runtime this is.
    Info,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    pub action: Action,
    /// containerd's namespace.
    pub namespace: String,
    /// The container's id.
    pub id: String,
    /// containerd's own socket.
    pub address: String,
    /// The container's folder, where it is not the current one.
    pub bundle: Option<PathBuf>,
    /// The shim's own socket, for [`Action::Serve`].
    pub socket: Option<PathBuf>,
}

impl Flags {
    /// # Errors
    /// A word that nobody knows, or one that is missing.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self {
            action: Action::Serve,
            namespace: String::new(),
            id: String::new(),
            address: String::new(),
            bundle: None,
            socket: None,
        };
        let (mut words, mut action) = (words, None);
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                action = Some(match word.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    "serve" => Action::Serve,
                    other => return Err(format!("'{other}' is none of start, delete")),
                });
                continue;
            };
            let (flag, given) =
                flag.split_once('=').map_or((flag, None), |(flag, value)| (flag, Some(value.to_owned())));
            match flag {
                "v" | "version" => action = Some(Action::Version),
                "info" => action = Some(Action::Info),
                "debug" => {}
                "namespace" | "id" | "address" | "bundle" | "publish-binary" | "socket" => {
                    let value = given.or_else(|| words.next()).ok_or_else(|| format!("-{flag} has no value"))?;
                    match flag {
                        "namespace" => flags.namespace = value,
                        "id" => flags.id = value,
                        "address" => flags.address = value,
                        "bundle" => flags.bundle = Some(value.into()),
                        "socket" => flags.socket = Some(value.into()),
                        // Events go over containerd's socket.
                        _ => {}
                    }
                }
                other => return Err(format!("-{other} is no flag of a shim")),
            }
        }
        flags.action = action.ok_or("containerd runs this program: start and delete are what it asks for")?;
        let needs_id = matches!(flags.action, Action::Start | Action::Delete | Action::Serve);
        if needs_id && (flags.namespace.is_empty() || flags.id.is_empty()) {
            return Err("-namespace and -id are missing".into());
        }
        Ok(flags)
    }

    /// The container's folder: containerd starts a shim in it.
    pub fn bundle(&self) -> PathBuf {
        self.bundle.clone().or_else(|| std::env::current_dir().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn containerds_command_lines_are_read() {
        let flags = parse("-namespace k8s.io -address /run/c.sock -publish-binary /bin/c -id a1 -debug start").unwrap();
        assert_eq!((flags.action, flags.namespace.as_str(), flags.id.as_str()), (Action::Start, "k8s.io", "a1"));
        let flags = parse("--namespace=n -id=a -bundle /b delete").unwrap();
        assert_eq!((flags.action, flags.bundle()), (Action::Delete, "/b".into()));
        assert_eq!(parse("-v").unwrap().action, Action::Version);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(parse("-id a start").unwrap_err(), "-namespace and -id are missing");
        assert_eq!(parse("-id").unwrap_err(), "-id has no value");
        assert_eq!(parse("-x start").unwrap_err(), "-x is no flag of a shim");
        assert_eq!(parse("run").unwrap_err(), "'run' is none of start, delete");
    }
}
