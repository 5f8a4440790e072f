//! `start`: makes sure that a shim serves a container, and tells containerd where.

use std::io::{IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, BootstrapResult};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::types::introspection::RuntimeInfo;
use sha2::{Digest, Sha256};

use crate::bundle::Spec;
use crate::flags::Flags;
use crate::{cri, events};

/// Where sockets of shims are, unless containerd says otherwise.
const SOCKETS: &str = "/run/containerd/s";

/// Bytes that containerd sends with a start.
const LIMIT: u64 = 10 << 20;

/// The runtime's name for containerd 2.
pub fn info() -> Result<(), String> {
    let info = RuntimeInfo { name: "io.containerd.ottavo.v2".to_owned(), ..RuntimeInfo::default() };
    reply(&info.write_to_bytes().map_err(|error| error.to_string())?)
}

pub fn run(flags: &Flags) -> Result<(), String> {
    let asked = asked(flags)?;
    let bundle = flags.bundle();
    let spec = Spec::read(&bundle)?;
    // The containers of a pod share the shim of its sandbox.
    let group = cri::sandbox_id(&spec.annotations).unwrap_or(&flags.id);
    let folder = asked.as_ref().and_then(|asked| asked.socket_dir.clone()).filter(|folder| !folder.is_empty());
    let folder = PathBuf::from(folder.unwrap_or_else(|| SOCKETS.to_owned()));
    let digest = hex::encode(Sha256::digest(format!("ottavo {}/{}/{group}", flags.address, flags.namespace)));
    let path = folder.join(digest);
    let address = format!("unix://{}", path.display());
    if UnixStream::connect(&path).is_err() {
        let listener = bind(&folder, &path).map_err(|error| format!("{}: {error}", path.display()))?;
        spawn(flags, &bundle, &path, listener, asked.as_ref())?;
    }
    // From here containerd knows the shim again after a restart of its own.
    let file = bundle.join("address");
    std::fs::write(&file, &address).map_err(|error| format!("{}: {error}", file.display()))?;
    match asked {
        // What containerd before 2.3 understands: a shim of the second version, at this address.
        None => reply(address.as_bytes()),
        Some(_) => {
            let result =
                BootstrapResult { version: 3, address, protocol: "ttrpc".to_owned(), ..BootstrapResult::default() };
            reply(&result.write_to_bytes().map_err(|error| error.to_string())?)
        }
    }
}

/// What containerd 2.3 and later send; `None` from earlier ones, which send options of the runtime or nothing.
fn asked(flags: &Flags) -> Result<Option<BootstrapParams>, String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(None);
    }
    let mut input = Vec::new();
    stdin.lock().take(LIMIT).read_to_end(&mut input).map_err(|error| format!("the standard input: {error}"))?;
    let asked = BootstrapParams::parse_from_bytes(&input).ok();
    Ok(asked.filter(|asked| asked.instance_id == flags.id && asked.namespace == flags.namespace))
}

fn bind(folder: &Path, path: &Path) -> std::io::Result<UnixListener> {
    std::fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
    if path.exists() {
        // Its shim has died.
        std::fs::remove_file(path)?;
    }
    // For containerd's user alone, from the first moment. Nothing else runs in this process.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(mask);
    listener
}

/// Leaves a process behind that serves at `listener`, which it gets as its standard input.
fn spawn(
    flags: &Flags,
    bundle: &Path,
    path: &Path,
    listener: UnixListener,
    asked: Option<&BootstrapParams>,
) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let mut command = Command::new(program);
    command.args(["-namespace", &flags.namespace, "-id", &flags.id, "-address", &flags.address]);
    command.arg("-socket").arg(path).arg("serve").current_dir(bundle);
    if let Some(asked) = asked.filter(|asked| !asked.containerd_ttrpc_address.is_empty()) {
        command.env(events::ADDRESS, &asked.containerd_ttrpc_address);
    }
    command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(log(bundle));
    command.spawn().map(drop).map_err(|error| format!("the shim does not start: {error}"))
}

/// The pipe from which containerd copies into its own log.
fn log(bundle: &Path) -> Stdio {
    // Neither the start nor a later line waits for who reads.
    let pipe = std::fs::OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(bundle.join("log"));
    pipe.map_or_else(|_| Stdio::null(), Stdio::from)
}

fn reply(bytes: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| format!("the answer to containerd: {error}"))
}
