//! A request through the real HTTP stack, with stores and a broker in memory and no network.
//!
//! An input is `METHOD TARGET` on the first line, `name: value` lines of headers, an empty line, and the body.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use components::component::Instance;
use components::nameresolution::{ResolveRequest, Resolver};
use components::{Error, ErrorKind, Registry};
use gateway::blocks::Shared;
use gateway::blocks::bindings::BindingsBlock;
use gateway::blocks::invoke::{self, InvokeBlock};
use gateway::blocks::pubsub::PubSubBlock;
use gateway::blocks::secrets::SecretsBlock;
use gateway::blocks::sidecar::{AppConnection, Readiness, SidecarBlock, Stop};
use gateway::blocks::state::StateBlock;
use gateway::body::Body;
use gateway::catalog::Access;
use gateway::config::Environment;
use gateway::config::load::{Folders, Scope};
use gateway::config::template::Identity;
use gateway::http::HttpApi;
use gateway::http::router::Router;
use gateway::inbound::Inbound;
use gateway::layers::{Cors, UserPipeline};
use gateway::lifecycle::loader::Loader;
use gateway::loaded::Loaded;
use gateway::resiliency::Policies;
use gateway::runtime::{Blocks, Runtime};
use gateway::server::{Overload, ServeConnection, Swap, stack};
use gateway::telemetry::{Metrics, Tracer};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::BodyExt;
use percent_encoding::percent_decode;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The most bytes of a body.
const MAX_BODY: usize = 64 * 1024;

/// A sidecar that serves nothing but calls of [`Sidecar::ask`].
pub struct Sidecar {
    threads: tokio::runtime::Runtime,
    stack: Swap,
    // Its sender is the sidecar's: a shutdown that nobody receives would be an error of its own.
    _stop: mpsc::UnboundedReceiver<Stop>,
}

impl Sidecar {
    /// # Panics
    ///
    /// When it cannot be built.
    pub fn start() -> Self {
        // Another call of this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (sender, stop) = mpsc::unbounded_channel();
        let runtime = threads.block_on(runtime(sender));
        let settings = stack::Settings {
            max_body_size: MAX_BODY,
            read_buffer_size: 8192,
            api_token: None,
            cors: Cors::from_flag("http://good.example"),
            pipeline: UserPipeline { pipeline: Arc::default() },
            api_log: stack::ApiLogSettings { enabled: true, obfuscate_urls: true, omit_health_checks: false },
            metrics: runtime.shared.metrics.clone(),
            tracer: runtime.shared.tracer.clone(),
            h2c: false,
            overload: Overload::default(),
        };
        // Behind the listeners' own indirection, which hides the type of the stack.
        let stack = Swap::default();
        stack.put(stack::http(&settings, HttpApi::new(runtime, Router::new(&Access::default()))));
        Self { threads, stack, _stop: stop }
    }

    /// Sends the request that `input` describes, if it describes one that stays in this process.
    ///
    /// # Panics
    ///
    /// The answer is not one.
    pub fn ask(&self, input: &[u8]) {
        if leaves(input) {
            return;
        }
        let Some(request) = request(input) else { return };
        self.threads.block_on(async {
            let response = self.stack.serve(request).await;
            let status = response.status();
            assert!((200..600).contains(&status.as_u16()), "the status {status}");
            let body = response.into_body().collect().await;
            let body = body.unwrap_or_else(|error| panic!("the answer breaks off: {error}")).to_bytes();
            let text = String::from_utf8_lossy(&body);
            assert!(!text.contains("the sidecar failed to answer this call"), "a panic was caught: {text}");
        });
    }
}

/// Whether a request could make the sidecar call a URL.
fn leaves(input: &[u8]) -> bool {
    let mut text = input.to_ascii_lowercase();
    // Escapes may hide escapes.
    for _ in 0..4 {
        if text.windows(4).any(|four| four == b"http") || text.windows(5).any(|five| five == b"basic") {
            return true;
        }
        text = percent_decode(&text).collect::<Vec<u8>>().to_ascii_lowercase();
    }
    text.contains(&b'%')
}

fn request(input: &[u8]) -> Option<Request<Body>> {
    let (head, body) = crate::head_and_body(input);
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target).body(Body::full(body.to_vec())).ok()?;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(value.trim().as_bytes()).ok()?);
    }
    Some(request)
}

async fn runtime(stop: mpsc::UnboundedSender<Stop>) -> Runtime {
    let metrics = Metrics::new("app", "", &Default::default());
    let shared = Shared {
        app_id: "app".into(),
        namespace: "default".into(),
        loaded: Loaded::default(),
        policies: Arc::new(ArcSwap::from_pointee(Policies::new(&[], metrics.clone()))),
        metrics,
        tracer: Tracer::passing(),
    };
    load(&shared).await;
    let block = PubSubBlock::new(shared.clone());
    let inbound = Inbound::new(shared.clone(), block.clone(), None);
    let settings = invoke::Settings {
        host_address: "127.0.0.1".to_owned(),
        host_name: "localhost".to_owned(),
        internal_port: 0,
        max_body_size: MAX_BODY,
        access_control: None,
        app_is_http: true,
        app_token: None,
        app_pipeline: Arc::default(),
        functions: None,
    };
    let invoke = InvokeBlock::new(shared.clone(), None, Arc::new(Nobody), Vec::new(), settings);
    let ready = Readiness::default;
    let sidecar = SidecarBlock::new(shared.clone(), ready(), ready(), Vec::new(), AppConnection::default(), stop);
    Runtime::new(Blocks {
        state: StateBlock::new(shared.clone()),
        secrets: SecretsBlock::new(shared.clone(), Arc::default()),
        pubsub: block,
        invoke: invoke.expect("no access control that could be wrong"),
        bindings: BindingsBlock::new(shared.clone()),
        sidecar,
        inbound,
        closing: CancellationToken::new(),
        shared,
    })
}

/// A store and a broker in memory.
async fn load(shared: &Shared) {
    let text = ["mem: state.in-memory", "ps: pubsub.in-memory"]
        .map(|line| {
            let (name, kind) = line.split_once(": ").unwrap_or_default();
            let head = "apiVersion: dapr.io/v1alpha1\nkind: Component\n";
            format!("{head}metadata: {{name: {name}}}\nspec: {{type: {kind}, version: v1}}\n")
        })
        .join("---\n");
    let scope = Scope { app_id: "app".to_owned(), namespace: None };
    let resources = Folders::of_texts([("memory.yaml".into(), text)]).resources(&scope).expect("resources");
    let mut loader = Loader::new(
        shared.clone(),
        Registry::builtin(),
        Environment::default(),
        Identity::default(),
        Instance { extra: BTreeMap::new(), ..Instance::default() },
        Vec::new(),
    );
    loader.load_all(resources.components).await.expect("components in memory");
    // The components live as long as the process.
    std::mem::forget(loader);
}

/// Knows no sidecar.
struct Nobody;

#[async_trait]
impl Resolver for Nobody {
    async fn resolve(&self, request: &ResolveRequest) -> components::Result<Vec<String>> {
        Err(Error::new(ErrorKind::NotFound, format!("couldn't find service: {}", request.app_id)))
    }
}
