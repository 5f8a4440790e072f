//! `delete`: containerd's cleanup after a shim that has died. The container's function goes, whatever became of the shim.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::SystemTime;

use containerd_shim_protos::api::DeleteResponse;
use containerd_shim_protos::protobuf::Message;

use crate::bundle::Spec;
use crate::flags::Flags;
use crate::gateway::Gateway;
use crate::mounts;
use crate::record::Record;

/// As if a process had been killed.
const KILLED: u32 = 137;

pub fn run(flags: &Flags) -> Result<(), String> {
    let bundle = flags.bundle();
    if let Some(record) = Record::read(&bundle) {
        match uninstall(&record) {
            Ok(()) => Record::remove(&bundle),
            // containerd goes on with its cleanup, and has this in its log.
            Err(reason) => crate::log(&format!("the function {} may still be at its gateway: {reason}", record.name)),
        }
    }
    if let Ok(spec) = Spec::read(&bundle) {
        mounts::detach(&spec.rootfs(&bundle));
    }
    let address = std::fs::read_to_string(bundle.join("address")).unwrap_or_default();
    if let Some(path) = address.strip_prefix("unix://").filter(|path| UnixStream::connect(path).is_err()) {
        // A dead socket, or none.
        let _ = std::fs::remove_file(path);
    }
    let mut response = DeleteResponse::new();
    response.set_exit_status(KILLED);
    response.set_exited_at(SystemTime::now().into());
    let bytes = response.write_to_bytes().map_err(|error| error.to_string())?;
    std::io::stdout().write_all(&bytes).map_err(|error| format!("the answer to containerd: {error}"))
}

fn uninstall(record: &Record) -> Result<(), String> {
    let gateway = Gateway::recorded(record)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(gateway.delete(record)).map_err(|failure| failure.to_string())
}
