//! `serve`: the process that `start` leaves behind. It answers containerd's Task API until its last container is gone.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::shim_async::{Task, create_task};
use containerd_shim_protos::ttrpc::r#async::transport::Listener;
use containerd_shim_protos::ttrpc::r#async::{Server, Service as Methods};

use crate::events::Events;
use crate::flags::Flags;
use crate::service::Service;

/// The Task API of containerd 1, and that of containerd 2: the same methods and messages under two names.
const NAMES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// The last events, and answers that are under way at the end.
const LAST: Duration = Duration::from_secs(3);

pub fn run(flags: &Flags) -> Result<(), String> {
    // Signals for whoever started containerd are not for its shims.
    let _ = nix::unistd::setsid();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start a runtime: {error}"))?.block_on(serve(flags))
}

async fn serve(flags: &Flags) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot serve: {error}");
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| failed(&error))?;
    let listener = Listener::try_from(UnixListener::from(socket)).map_err(|error| failed(&error))?;
    let events = Events::begin(&flags.namespace);
    let service = Arc::new(Service::new(&flags.namespace, events.clone()));
    let mut server = Server::new().add_listener(listener).register_service(methods(&service));
    server.start().await.map_err(|error| failed(&error))?;
    service.ended().await;
    if let Some(path) = &flags.socket {
        // Whoever starts a container from now on starts a shim, too.
        let _ = std::fs::remove_file(path);
    }
    // containerd may not be there any more.
    let _ = tokio::time::timeout(LAST, events.flush()).await;
    let _ = tokio::time::timeout(LAST, server.shutdown()).await;
    Ok(())
}

fn methods(service: &Arc<Service>) -> HashMap<String, Methods> {
    let under = |name: &str| {
        let task: Arc<dyn Task + Send + Sync> = service.clone();
        create_task(task).into_values().next().map(|methods| (name.to_owned(), methods))
    };
    NAMES.into_iter().filter_map(under).collect()
}
