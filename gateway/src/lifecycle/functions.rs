//! Functions in the life of the process: they outlive generations, as listeners do. A build without WebAssembly has none.

#[cfg(feature = "wasm")]
pub use with::{Served, declared};
#[cfg(not(feature = "wasm"))]
pub use without::{Served, declared};

#[cfg(feature = "wasm")]
mod with {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use crate::blocks::{Shared, invoke};
    use crate::cli::Flags;
    use crate::config::Resources;
    use crate::config::load::Functions as Declared;
    use crate::functions::Functions;
    use crate::functions::admin::AdminApi;
    use crate::functions::front::FunctionsApi;
    use crate::functions::modules::Modules;
    use crate::functions::store::Store;
    use crate::guest::Guest;
    use crate::inbound::Inbound;
    use crate::lifecycle::listeners::http_protocol;
    use crate::lifecycle::loader::Loader;
    use crate::lifecycle::{Fatal, Process, SCOPE};
    use crate::runtime::Runtime;
    use crate::server::{Reserved, bind_private_unix, bind_tcp, stack};

    /// The functions that the resources declare.
    pub fn declared(resources: &mut Resources) -> Declared {
        std::mem::take(&mut resources.functions)
    }

    /// The functions, and who answers what they ask for.
    #[derive(Clone)]
    pub struct Served {
        functions: Functions,
        guest: Arc<Guest>,
        modules: Modules,
        is_bound: Arc<AtomicBool>,
    }

    impl Served {
        pub fn new(shared: &Shared, loader: &Loader, flags: &Flags) -> Self {
            let workshop = &loader.workshop;
            let functions = Functions::new(shared.clone(), workshop.guests.clone(), workshop.counting.clone());
            let guest = Arc::new(Guest::new(&functions));
            functions.set_sidecar(guest.clone());
            let modules = Modules::new(flags.functions.state.as_deref());
            Self { functions, guest, modules, is_bound: Arc::default() }
        }

        /// The functions as targets of invocations.
        pub fn invoked(&self) -> Option<Arc<dyn invoke::Functions>> {
            Some(Arc::new(self.functions.clone()))
        }

        /// Makes the functions those that are declared; they reach `runtime` from now on.
        ///
        /// # Errors
        /// A declaration that cannot be read ends the start; later it is logged, and the functions stay as they are.
        pub async fn declare(&self, runtime: &Runtime, declared: Declared, is_start: bool) -> Result<(), Fatal> {
            self.functions.set_shared(runtime.shared.clone());
            self.guest.set_runtime(Some(runtime.clone()));
            if let Some(first) = declared.errors.first()
                && is_start
            {
                return Err(Fatal(format!("failed to load functions: {first}")));
            }
            if declared.errors.is_empty() {
                self.functions.set(declared.functions, declared.aggregations).await;
            }
            for error in &declared.errors {
                tracing::error!(target: SCOPE, "The functions stay as they are: {error}");
            }
            Ok(())
        }

        /// Listens for calls of functions: at the port that was given, or at any when there are functions and one is
        /// to be found.
        pub async fn listen(&self, process: &mut Process, reserved: &mut Reserved) -> Result<(), Fatal> {
            let flags = &mut process.flags;
            let port = match flags.functions.port {
                Some(port) => port,
                None if flags.functions.finds_port && !self.functions.is_empty() => 0,
                None => return Ok(()),
            };
            if self.is_bound.swap(true, Ordering::Relaxed) {
                return Ok(());
            }
            let loopback = Ipv4Addr::LOCALHOST.to_string();
            let hosts = match flags.functions.listen_address.as_str() {
                "" if flags.listen_addresses.is_empty() => vec![loopback],
                "" => flags.listen_addresses.clone(),
                address => vec![address.to_owned()],
            };
            for host in &hosts {
                let failed = |error| format!("failed to start the functions' server: {error}");
                let bound = reserved.bind(host, flags.functions.port.unwrap_or(port)).await.map_err(failed)?;
                flags.functions.port = Some(bound.port());
                tracing::info!(target: SCOPE, "Functions are called on port {}", bound.port());
                let protocol = http_protocol(flags);
                let accepting = crate::server::accept(
                    bound,
                    protocol,
                    process.functions.clone(),
                    process.workers.clone(),
                    process.drain.subscribe(),
                );
                process.accepting.spawn(accepting);
            }
            Ok(())
        }

        /// Brings installed functions back, and listens for those who manage them.
        pub async fn manage(&self, process: &Process) -> Result<(), Fatal> {
            let flags = &process.flags.functions;
            for installed in self.store(process).functions() {
                self.functions.install(installed).await;
            }
            self.modules.sweep(&self.functions);
            let failed = |error| format!("failed to start the server for managing functions: {error}");
            if let Some(path) = &flags.admin_socket {
                let bound = bind_private_unix(path).map_err(failed)?;
                tracing::info!(target: SCOPE, "Functions are managed on {}", path.display());
                process.accept(bound, http_protocol(&process.flags), process.functions_admin.clone());
            }
            if let Some(port) = flags.admin_port {
                let bound = bind_tcp(&flags.admin_listen_address, port).await.map_err(failed)?;
                let (host, port) = (&flags.admin_listen_address, bound.port());
                tracing::info!(target: SCOPE, "Functions are managed on {host}:{port}");
                process.accept(bound, http_protocol(&process.flags), process.functions_admin.clone());
            }
            Ok(())
        }

        fn store(&self, process: &Process) -> Store {
            Store { folder: process.flags.functions.state.clone() }
        }

        /// Puts this generation's services behind the ports.
        pub fn put(&self, process: &Process, settings: &stack::Settings) {
            process.functions.put(stack::functions(settings, FunctionsApi(self.functions.clone())));
            let admin = AdminApi {
                functions: self.functions.clone(),
                store: self.store(process),
                modules: self.modules.clone(),
                drain: process.drain.subscribe(),
            };
            process.functions_admin.put(stack::functions_admin(settings, admin));
        }

        /// Messages and schedules begin.
        pub async fn begin(&self, inbound: &Inbound) {
            self.functions.begin(inbound.clone()).await;
        }

        /// Messages and schedules end.
        pub async fn pause(&self) {
            self.functions.pause().await;
        }

        /// All functions end.
        pub async fn close(&self) {
            self.functions.close().await;
            self.guest.set_runtime(None);
        }
    }
}

#[cfg(not(feature = "wasm"))]
mod without {
    use std::sync::Arc;

    use crate::blocks::{Shared, invoke};
    use crate::cli::Flags;
    use crate::config::Resources;
    use crate::inbound::Inbound;
    use crate::lifecycle::loader::Loader;
    use crate::lifecycle::{Fatal, Process};
    use crate::runtime::Runtime;
    use crate::server::{Reserved, stack};

    pub fn declared(_resources: &mut Resources) {}

    /// Nothing.
    #[derive(Clone)]
    pub struct Served;

    impl Served {
        pub fn new(_shared: &Shared, _loader: &Loader, _flags: &Flags) -> Self {
            Self
        }

        pub fn invoked(&self) -> Option<Arc<dyn invoke::Functions>> {
            None
        }

        pub async fn declare(&self, _runtime: &Runtime, _declared: (), _is_start: bool) -> Result<(), Fatal> {
            Ok(())
        }

        pub async fn listen(&self, _process: &mut Process, _reserved: &mut Reserved) -> Result<(), Fatal> {
            Ok(())
        }

        pub async fn manage(&self, _process: &Process) -> Result<(), Fatal> {
            Ok(())
        }

        pub fn put(&self, _process: &Process, _settings: &stack::Settings) {}

        pub async fn begin(&self, _inbound: &Inbound) {}

        pub async fn pause(&self) {}

        pub async fn close(&self) {}
    }
}
