//! What is built from the Configuration and the resources, and built anew on reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use components::component::Instance;
use components::nameresolution::Resolver;
use tokio_util::sync::CancellationToken;

use super::application::Application;
use super::functions::Served;
use super::loader::Loader;
use super::metrics_page::MetricsPage;
use super::{Fatal, Listeners, Process, SCOPE, address, listeners, resolver};
use crate::app::{AppChannel, AppSettings, Protocol};
use crate::blocks::Shared;
use crate::blocks::bindings::BindingsBlock;
use crate::blocks::invoke::{self, InvokeBlock};
use crate::blocks::pubsub::PubSubBlock;
use crate::blocks::secrets::SecretsBlock;
use crate::blocks::sidecar::{AppConnection, AppHealthSettings, SidecarBlock};
use crate::blocks::state::StateBlock;
use crate::catalog::Access;
use crate::config::configuration::Protocol as ApiProtocol;
use crate::config::load::{Folders, Scope};
use crate::config::meta::Resource;
use crate::config::template::Identity;
use crate::config::{Component, Configuration, GoDuration, HttpEndpoint, Resources};
use crate::grpc::GrpcApi;
use crate::http::HttpApi;
use crate::http::router::Router;
use crate::inbound::Inbound;
use crate::inbound::app::ToApp;
use crate::inbound::deliver::Deliver;
use crate::inbound::subscription::Subscription;
use crate::layers::{Cors, UserPipeline};
use crate::loaded::Loaded;
use crate::pipeline::Pipeline;
use crate::resiliency::Policies;
use crate::runtime::{Blocks, Runtime};
use crate::server::{Reserved, stack};
use crate::telemetry::{Metrics, Tracer};

/// One build of everything that resources say.
pub struct Generation {
    pub configuration: Configuration,
    pub runtime: Runtime,
    pub inbound: Inbound,
    pub channel: Option<AppChannel>,
    pub resolver: Arc<dyn Resolver>,
    pub functions: Served,
    loader: Loader,
    app_pipeline: Arc<ArcSwap<Pipeline>>,
}

impl Generation {
    /// The first one. Listeners begin to serve when it is there; the application may come later.
    pub async fn start(process: &mut Process, extra: Vec<Component>) -> Result<Self, Fatal> {
        let mut reserved = std::mem::take(&mut process.reserved);
        let flags = &process.flags;
        let configuration = load_configuration(process)?;
        let features = configuration.enabled_features().join(" ");
        tracing::info!(target: SCOPE, "Enabled features: {features}");
        let metrics = metrics(process, &configuration);
        let metrics_port = Listeners::bind_metrics(flags, &mut reserved).await;
        let tracer = tracer(process, &configuration)?;
        tracing::info!(target: SCOPE, "standalone mode configured");
        tracing::info!(target: SCOPE, "app id: {}", flags.app_id);
        let mut resources = load_resources(process, extra)?;
        let declared = super::functions::declared(&mut resources);
        let shared = Shared {
            app_id: flags.app_id.as_str().into(),
            namespace: flags.environment.namespace().unwrap_or("default").into(),
            loaded: Loaded::default(),
            policies: Arc::new(ArcSwap::from_pointee(Policies::new(&resources.resiliencies, metrics.clone()))),
            metrics,
            tracer,
        };
        let instance = instance(process);
        let mut loader = Loader::new(
            shared.clone(),
            process.registry.clone(),
            flags.environment.clone(),
            identity(process),
            instance.clone(),
            configuration.spec.components.deny.clone(),
        );
        loader.strict_sandbox = configuration.spec.wasm.strict_sandbox;
        tracing::info!(target: SCOPE, "Loading components…");
        loader.load_all(resources.components.clone()).await?;
        tracing::info!(target: SCOPE, "Waiting for all outstanding components to be processed…");
        tracing::info!(target: SCOPE, "All outstanding components processed");
        let app_pipeline = Arc::new(ArcSwap::from_pointee(
            loader.middlewares.pipeline("app channel", &configuration.spec.app_http_pipeline),
        ));
        let channel = app_channel(process, app_pipeline.clone(), &shared)?;
        let listeners = Listeners::bind(flags, &mut reserved).await?.with_metrics(metrics_port);
        // This makes the name known, and calls may come at once: after all that takes time.
        let resolver = resolver::build(process, &configuration, instance).await;
        let functions = Served::new(&shared, &loader, &process.flags);
        let mut generation =
            Self::build(process, configuration, shared, loader, resources, resolver, channel, app_pipeline, functions)
                .await?;
        generation.functions.declare(&generation.runtime, declared, true).await?;
        generation.functions.manage(process).await?;
        generation.functions.listen(process, &mut reserved).await?;
        generation.put(process);
        listeners.serve(process);
        generation.inbound.publish();
        Ok(generation)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of the generation")]
    async fn build(
        process: &Process,
        configuration: Configuration,
        shared: Shared,
        loader: Loader,
        resources: Resources,
        resolver: Arc<dyn Resolver>,
        channel: Option<AppChannel>,
        app_pipeline: Arc<ArcSwap<Pipeline>>,
        functions: Served,
    ) -> Result<Self, Fatal> {
        tracing::info!(target: SCOPE, "Loading endpoints…");
        let endpoints = endpoints(&shared, &resources.http_endpoints, process).await;
        tracing::info!(target: SCOPE, "All outstanding http endpoints processed");
        tracing::info!(target: SCOPE, "Loading Declarative Subscriptions…");
        let subscriptions = subscriptions(&resources, &shared.app_id)?;
        shared.loaded.update(|components| {
            components.http_endpoints = resources.http_endpoints.iter().map(|one| one.metadata.name.clone()).collect();
            components.resiliencies = resources.resiliencies.iter().map(|one| one.metadata.name.clone()).collect();
        });
        let scopes = configuration.spec.secrets.scopes.iter().map(|scope| (scope.store_name.clone(), scope.clone()));
        let scopes: BTreeMap<_, _> = scopes.collect();
        warn_of_unmatched_scopes(&scopes, &shared);
        let block = PubSubBlock::new(shared.clone());
        let deliver =
            channel.clone().map(|channel| Arc::new(ToApp { shared: shared.clone(), channel }) as Arc<dyn Deliver>);
        let inbound = Inbound::new(shared.clone(), block.clone(), deliver);
        inbound.set_declarative(subscriptions);
        let invoke = InvokeBlock::new(
            shared.clone(),
            channel.clone(),
            resolver.clone(),
            endpoints,
            invoke_settings(process, &configuration, app_pipeline.clone(), &functions),
        )
        .map_err(|error| error.to_string())?;
        let features = configuration.enabled_features().into_iter().map(str::to_owned).collect();
        let sidecar = SidecarBlock::new(
            shared.clone(),
            process.readiness.clone(),
            process.outbound.clone(),
            features,
            app_connection(process),
            process.stop.clone(),
        );
        let runtime = Runtime::new(Blocks {
            state: StateBlock::new(shared.clone()),
            secrets: SecretsBlock::new(shared.clone(), Arc::new(ArcSwap::from_pointee(scopes))),
            pubsub: block,
            invoke,
            bindings: BindingsBlock::new(shared.clone()),
            sidecar,
            inbound: inbound.clone(),
            closing: CancellationToken::new(),
            shared,
        });
        Ok(Self { configuration, runtime, inbound, channel, resolver, functions, loader, app_pipeline })
    }

    /// Puts this generation's services behind the listeners.
    fn put(&mut self, process: &Process) {
        let settings = self.stack_settings(process);
        let spec = &self.configuration.spec;
        let router = Router::new(&Access::new(&spec.api, ApiProtocol::Http));
        process.http.put(stack::http(&settings, HttpApi::new(self.runtime.clone(), router)));
        process.public.put(stack::public(&settings, HttpApi::new(self.runtime.clone(), Router::public())));
        let limit = message_limit(process.flags.max_body_size);
        let grpc = GrpcApi::new(self.runtime.clone(), Access::new(&spec.api, ApiProtocol::Grpc), limit);
        process.grpc.put(stack::grpc(&settings, grpc));
        let internal = crate::grpc::internal::InternalApi::new(self.runtime.clone(), limit);
        process.internal.put(stack::internal(&settings, internal));
        process.metrics.put(MetricsPage(self.runtime.shared.metrics.clone()));
        self.functions.put(process, &settings);
    }

    fn stack_settings(&self, process: &Process) -> stack::Settings {
        let flags = &process.flags;
        let spec = &self.configuration.spec;
        let logging = &spec.logging.api_logging;
        let pipeline = self.loader.middlewares.pipeline("http", &spec.http_pipeline);
        stack::Settings {
            max_body_size: flags.max_body_size,
            read_buffer_size: flags.read_buffer_size,
            api_token: flags.api_token.clone(),
            cors: Cors::from_flag(&flags.allowed_origins),
            pipeline: UserPipeline { pipeline: Arc::new(ArcSwap::from_pointee(pipeline)) },
            api_log: stack::ApiLogSettings {
                enabled: flags.enable_api_logging.unwrap_or(logging.enabled),
                obfuscate_urls: logging.obfuscate_urls,
                omit_health_checks: logging.omit_health_checks,
            },
            metrics: self.runtime.shared.metrics.clone(),
            tracer: self.runtime.shared.tracer.clone(),
            h2c: listeners::allows_h2c(flags),
            overload: process.overload.clone(),
        }
    }

    /// Reads everything anew and takes the place of the old: requests under way end on what they began with.
    pub async fn reload(
        &mut self,
        process: &mut Process,
        extra: Vec<Component>,
        app: &mut Application,
    ) -> Result<(), Fatal> {
        let configuration = load_configuration(process)?;
        let mut resources = load_resources(process, extra)?;
        let declared = super::functions::declared(&mut resources);
        let old = &self.runtime.shared;
        let is_same_metrics = configuration.spec.metric == self.configuration.spec.metric;
        let metrics = if is_same_metrics { old.metrics.clone() } else { metrics(process, &configuration) };
        let is_same_tracing = configuration.spec.tracing == self.configuration.spec.tracing;
        let tracer = if is_same_tracing { old.tracer.clone() } else { tracer(process, &configuration)? };
        let shared = Shared {
            policies: Arc::new(ArcSwap::from_pointee(Policies::new(&resources.resiliencies, metrics.clone()))),
            metrics,
            tracer: tracer.clone(),
            ..old.clone()
        };
        let grace = process.flags.graceful_shutdown;
        self.loader.shared = shared.clone();
        self.loader.deny = configuration.spec.components.deny.clone();
        self.loader.strict_sandbox = configuration.spec.wasm.strict_sandbox;
        app.pause(self).await;
        self.functions.pause().await;
        self.loader.reload(resources.components.clone(), grace).await?;
        self.app_pipeline
            .store(Arc::new(self.loader.middlewares.pipeline("app channel", &configuration.spec.app_http_pipeline)));
        let old_runtime = self.runtime.clone();
        let loader = std::mem::replace(
            &mut self.loader,
            Loader::new(
                shared.clone(),
                process.registry.clone(),
                process.flags.environment.clone(),
                identity(process),
                instance(process),
                Vec::new(),
            ),
        );
        let mut next = Self::build(
            process,
            configuration,
            shared,
            loader,
            resources,
            self.resolver.clone(),
            self.channel.clone(),
            self.app_pipeline.clone(),
            self.functions.clone(),
        )
        .await?;
        next.functions.declare(&next.runtime, declared, false).await?;
        next.functions.listen(process, &mut Reserved::default()).await?;
        next.put(process);
        *self = next;
        old_runtime.closing.cancel();
        if !is_same_tracing {
            let old_tracer = old_runtime.shared.tracer.clone();
            tokio::spawn(async move { old_tracer.close(Duration::from_secs(5)).await });
        }
        self.functions.begin(&self.inbound).await;
        app.begin(process, self).await
    }

    /// Ends in order: the name is taken back, what comes in stops, connections finish, components close.
    pub async fn close(mut self, process: &Process) {
        self.resolver.unregister().await;
        self.runtime.closing.cancel();
        self.inbound.stop(true).await;
        self.functions.pause().await;
        process.drain.send_replace(true);
        process.accepting.close();
        if tokio::time::timeout(super::SERVER_DRAIN, process.accepting.wait()).await.is_err() {
            tracing::warn!(target: SCOPE, "Connections were still open when the time to finish was over");
        }
        self.functions.close().await;
        self.loader.close_all().await;
        self.resolver.close().await;
        self.runtime.shared.tracer.close(Duration::from_secs(5)).await;
    }
}

/// The channel to the application, if there is one.
fn app_channel(
    process: &Process,
    pipeline: Arc<ArcSwap<Pipeline>>,
    shared: &Shared,
) -> Result<Option<AppChannel>, Fatal> {
    let flags = &process.flags;
    let Some(port) = flags.app_port else { return Ok(None) };
    let protocol = Protocol::parse(flags.app_protocol.as_str()).unwrap_or(Protocol::Http);
    let settings = AppSettings {
        protocol,
        address: flags.app_channel_address.clone(),
        port,
        max_concurrency: flags.app_max_concurrency,
        token: flags.app_token.clone(),
        max_body_size: flags.max_body_size,
    };
    let channel = AppChannel::new(settings, pipeline, shared.metrics.clone());
    channel.map(Some).map_err(|error| Fatal(format!("failed to create app channel: {error}")))
}

/// What service invocation must know of this process.
fn invoke_settings(
    process: &Process,
    configuration: &Configuration,
    app_pipeline: Arc<ArcSwap<Pipeline>>,
    functions: &Served,
) -> invoke::Settings {
    let flags = &process.flags;
    invoke::Settings {
        host_address: process.host_address.clone(),
        host_name: address::host_name(),
        internal_port: process.internal_port,
        max_body_size: flags.max_body_size,
        access_control: configuration.spec.access_control.clone(),
        app_is_http: flags.app_protocol.is_http(),
        app_token: flags.app_token.clone(),
        app_pipeline,
        functions: functions.invoked(),
    }
}

/// gRPC's limit of one message; 0 is no limit over HTTP and the largest message here.
fn message_limit(max_body_size: usize) -> usize {
    if max_body_size == 0 { i32::MAX as usize } else { max_body_size }
}

fn load_configuration(process: &Process) -> Result<Configuration, Fatal> {
    let flags = &process.flags;
    if flags.config.is_empty() {
        tracing::info!(target: SCOPE, "loading default configuration");
        return Ok(Configuration::defaults());
    }
    Configuration::load(&flags.config, &flags.environment)
        .map_err(|error| Fatal(format!("error loading configuration: {error}")))
}

/// Resources of the folders; `extra` stands before them and gives way to a component of the same name.
fn load_resources(process: &Process, extra: Vec<Component>) -> Result<Resources, Fatal> {
    let flags = &process.flags;
    let folders =
        Folders::read(&flags.resources_path).map_err(|error| format!("failed to load components: {error}"))?;
    let scope = Scope::new(&flags.app_id, &flags.environment);
    let mut resources = folders.resources(&scope).map_err(|error| format!("failed to load components: {error}"))?;
    let mut components = extra;
    components.retain(|one| !resources.components.iter().any(|other| other.metadata.name == one.metadata.name));
    components.append(&mut resources.components);
    resources.components = components;
    Ok(resources)
}

fn metrics(process: &Process, configuration: &Configuration) -> Metrics {
    let spec = &configuration.spec.metric;
    let namespace = process.flags.environment.namespace().unwrap_or_default();
    if process.flags.metrics.enabled && spec.is_enabled() {
        Metrics::new(&process.flags.app_id, namespace, spec)
    } else {
        Metrics::disabled()
    }
}

fn tracer(process: &Process, configuration: &Configuration) -> Result<Tracer, Fatal> {
    let flags = &process.flags;
    let mut spec = configuration.spec.tracing.clone();
    spec.apply_environment(&flags.environment).map_err(|error| format!("failed to setup tracing: {error}"))?;
    Tracer::start(&spec, &flags.app_id, &flags.environment, &tokio::runtime::Handle::current())
        .map_err(|error| Fatal(format!("failed to setup tracing: {error}")))
}

fn identity(process: &Process) -> Identity {
    let environment = &process.flags.environment;
    Identity {
        app_id: process.flags.app_id.clone(),
        namespace: environment.namespace().unwrap_or_default().to_owned(),
        pod_name: environment.non_empty("POD_NAME").unwrap_or_default().to_owned(),
    }
}

fn instance(process: &Process) -> Instance {
    let flags = &process.flags;
    Instance {
        address: process.host_address.clone(),
        http_port: flags.http_port,
        internal_port: process.internal_port,
        internal_socket: process.internal_socket.clone(),
        app_port: flags.app_port.unwrap_or(0),
        extra: BTreeMap::new(),
    }
}

fn app_connection(process: &Process) -> AppConnection {
    let flags = &process.flags;
    AppConnection {
        port: flags.app_port.unwrap_or(0),
        protocol: flags.app_protocol.as_str().to_owned(),
        channel_address: flags.app_channel_address.clone(),
        max_concurrency: flags.app_max_concurrency.and_then(|most| i32::try_from(most).ok()).unwrap_or(0),
        health: flags.app_health.map(|health| AppHealthSettings {
            path: if flags.app_protocol.is_http() { flags.app_health_check_path.clone() } else { String::new() },
            interval: GoDuration::from(health.interval).to_string(),
            timeout: GoDuration::from(health.timeout).to_string(),
            threshold: i32::try_from(health.threshold).unwrap_or(i32::MAX),
        }),
    }
}

/// The declared subscriptions that are for this app.
fn subscriptions(resources: &Resources, app_id: &str) -> Result<Vec<Subscription>, Fatal> {
    let mut found = Vec::new();
    for resource in &resources.subscriptions {
        if !resource.scopes.is_empty() && !resource.scopes.iter().any(|scope| scope == app_id) {
            continue;
        }
        let name = &resource.metadata.name;
        tracing::info!(target: SCOPE, "Found Subscription: {name}");
        let subscription = Subscription::try_from(resource)
            .map_err(|error| format!("failed to load declarative subscriptions: subscription {name}: {error}"))?;
        found.push(subscription);
    }
    Ok(found)
}

/// The endpoints with their secrets; one whose secret store is missing has none of them.
async fn endpoints(shared: &Shared, resources: &[HttpEndpoint], process: &Process) -> Vec<invoke::Endpoint> {
    let mut endpoints = Vec::new();
    for resource in resources {
        let names: Vec<String> = resource.secret_names().into_iter().map(str::to_owned).collect();
        let name = &resource.metadata.name;
        let store = &resource.auth.secret_store;
        let secrets = super::loader::fetch_secrets(shared, store, &names, name, "HTTPEndpoint").await;
        let secrets = secrets.ok().flatten().unwrap_or_default();
        match invoke::Endpoint::new(resource, &secrets, &process.flags.environment) {
            Ok(endpoint) => {
                tracing::info!(target: SCOPE, "http endpoint loaded: {}", resource.log_name());
                endpoints.push(endpoint);
            }
            Err(error) => {
                tracing::error!(target: SCOPE, "HTTPEndpoint {name} cannot be used: {error}");
            }
        }
    }
    endpoints
}

fn warn_of_unmatched_scopes<T>(scopes: &BTreeMap<String, T>, shared: &Shared) {
    let components = shared.loaded.current();
    for store in scopes.keys() {
        if components.secrets.contains_key(store.as_str()) {
            tracing::info!(target: SCOPE, "Secrets configuration added for '{store}'");
        } else {
            tracing::warn!(
                target: SCOPE,
                "Secrets configuration added for '{store}', but no matching secret store was found"
            );
        }
    }
}
