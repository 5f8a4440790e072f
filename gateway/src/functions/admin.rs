//! Managing functions over HTTP: Layotto's install, update and uninstall, a list, and the way back; [`super::named`] has
//! the requests that are about one function.
//!
//! On listeners of its own, a socket or a port, on loopback unless told otherwise; behind the API's token when there is
//! one.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use tokio::sync::watch;

use super::modules::Modules;
use super::slot::Slot;
use super::store::Store;
use super::{Functions, Installed};
use crate::body::{Body, collect};
use crate::config::function::Function;
use crate::http::respond;
use crate::server::ServeConnection;

/// The most bytes of a request, but for modules.
pub(super) const LIMIT: usize = 1 << 20;

/// What there is, for those who have missed it.
const THERE: &str = "GET /wasm/functions, POST /wasm/install, /wasm/update, /wasm/uninstall, /wasm/rollback, \
    PUT /wasm/modules, PUT, GET and DELETE /wasm/functions/NAME, GET /wasm/functions/NAME/logs";

/// The service behind the port for managing functions.
#[derive(Clone)]
pub struct AdminApi {
    pub functions: Functions,
    /// Where installed functions outlive a restart.
    pub store: Store,
    pub modules: Modules,
    /// Turns true when connections must finish.
    pub drain: watch::Receiver<bool>,
}

impl ServeConnection for AdminApi {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        // A page in a browser on this machine could send the rest without asking anybody.
        if parts.headers.contains_key(http::header::ORIGIN) {
            return failed(StatusCode::FORBIDDEN, "requests of web pages are not answered here");
        }
        let path = parts.uri.path();
        let missed = || failed(StatusCode::NOT_FOUND, &format!("there is no {path} here; there are {THERE}"));
        if (&parts.method, path) == (&Method::PUT, "/wasm/modules") {
            return self.bring(body).await;
        }
        if let Some(rest) = path.strip_prefix("/wasm/functions/") {
            return self.named(&parts.method, rest, parts.uri.query(), body).await.unwrap_or_else(missed);
        }
        let body = match collect(body, LIMIT).await {
            Ok(body) => body,
            Err(error) => return failed(StatusCode::BAD_REQUEST, &format!("the request's body: {error}")),
        };
        let outcome = match (&parts.method, path) {
            (&Method::GET, "/wasm/functions") => Ok(Some(self.list())),
            (&Method::POST, "/wasm/install") => self.install(&body).await,
            (&Method::POST, "/wasm/update") => self.update(&body).await,
            (&Method::POST, "/wasm/uninstall") => self.uninstall(&body).await,
            (&Method::POST, "/wasm/rollback") => self.roll_back(&body).await,
            _ => return missed(),
        };
        match outcome {
            Ok(None) => Response::new(Body::empty()),
            Ok(Some(value)) => respond::json(StatusCode::OK, &value),
            Err((status, text)) => failed(status, &text),
        }
    }
}

type Outcome = Result<Option<Value>, (StatusCode, String)>;

/// An error as Layotto writes it.
pub(super) fn failed(status: StatusCode, text: &str) -> Response<Body> {
    respond::json(status, &json!({ "error": text }))
}

fn refuse<T>(text: impl Into<String>) -> Result<T, (StatusCode, String)> {
    Err((StatusCode::INTERNAL_SERVER_ERROR, text.into()))
}

pub(super) fn members(body: &Bytes) -> Result<Map<String, Value>, (StatusCode, String)> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err((StatusCode::BAD_REQUEST, "the body is no JSON object".into())),
        Err(error) => Err((StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}"))),
    }
}

fn name(members: &Map<String, Value>) -> Result<&str, (StatusCode, String)> {
    match members.get("name") {
        Some(Value::String(name)) if !name.is_empty() => Ok(name),
        Some(_) => Err((StatusCode::BAD_REQUEST, "name is no text".into())),
        None => refuse("can't get name property"),
    }
}

impl AdminApi {
    /// The function of this name, or the first with this id.
    fn find(&self, name: &str) -> Result<std::sync::Arc<Slot>, (StatusCode, String)> {
        let table = self.functions.table();
        let by_id = || table.slots().find(|slot| slot.ids().iter().any(|id| id == name));
        let found = table.by_name(name).or_else(by_id).cloned();
        found.map_or_else(|| refuse(format!("{name} is not registered")), Ok)
    }

    /// A function as Layotto describes it, or as a manifest does (`spec`). A module that cannot be had yet is waited for.
    async fn install(&self, body: &Bytes) -> Outcome {
        let members = members(body)?;
        let name = name(&members)?;
        if self.find(name).is_ok() {
            return refuse(format!("{name} is already registered"));
        }
        let function = declared(name, &members).map_err(|error| (StatusCode::BAD_REQUEST, error))?;
        self.store.save(name, body).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))?;
        self.functions.install(Installed { function, owner: None }).await;
        Ok(None)
    }

    /// Another number of guests.
    async fn update(&self, body: &Bytes) -> Outcome {
        let members = members(body)?;
        let slot = self.find(name(&members)?)?;
        let number = members.get("instance_num").and_then(Value::as_u64).filter(|number| *number > 0);
        let Some(number) = number.and_then(|number| usize::try_from(number).ok()) else {
            return refuse("instance_num should be greater than 0");
        };
        let mut function = slot.manifest().clone();
        function.instances.max = number;
        function.instances.min = function.instances.min.min(number);
        self.store.amend(slot.name(), "instance_num", &json!(number));
        self.functions.install(Installed { function, owner: slot.owner.clone() }).await;
        Ok(None)
    }

    async fn uninstall(&self, body: &Bytes) -> Outcome {
        let members = members(body)?;
        let slot = self.find(name(&members)?)?;
        self.store.remove(slot.name());
        self.functions.uninstall(slot.name()).await;
        self.modules.sweep(&self.functions);
        Ok(None)
    }

    /// The module before takes the place of the one that serves.
    async fn roll_back(&self, body: &Bytes) -> Outcome {
        let members = members(body)?;
        let slot = self.find(name(&members)?)?;
        if self.functions.roll_back(&slot).await {
            return Ok(Some(about(&slot)));
        }
        refuse(format!("{} has had no other module", slot.name()))
    }

    fn list(&self) -> Value {
        let table = self.functions.table();
        json!({ "functions": table.slots().map(|slot| about(slot)).collect::<Vec<_>>() })
    }
}

/// What there is to know of a function; nothing of its configuration.
pub(super) fn about(slot: &Slot) -> Value {
    let (manifest, live, stats) = (slot.manifest(), slot.live(), &slot.stats);
    let since = live.as_ref().and_then(|live| live.since.duration_since(UNIX_EPOCH).ok());
    json!({
        "name": slot.name(),
        "ids": slot.ids(),
        "owner": slot.owner,
        "module": manifest.module,
        "file": manifest.file.display().to_string(),
        "status": if live.is_some() { "ready" } else { "waiting" },
        "version": live.as_ref().map(|live| live.version),
        "sha256": live.as_ref().map(|live| live.digest.clone()),
        "since": since.map(|since| since.as_secs()),
        "error": slot.error(),
        "guests": live.as_ref().map_or(0, |live| live.function.guests()),
        "instances": { "min": manifest.instances.min, "max": manifest.instances.max },
        "calls": stats.calls.load(Ordering::Relaxed),
        "failures": stats.failures.load(Ordering::Relaxed),
        "traps": stats.traps.load(Ordering::Relaxed),
        "denied": stats.denied.load(Ordering::Relaxed),
        "underWay": stats.under_way.load(Ordering::Relaxed),
    })
}

/// A function as it was installed, with its `name`.
///
/// # Errors
/// The field, and what is wrong with it.
pub(super) fn installed(members: &Map<String, Value>) -> Result<Installed, String> {
    let text = |field: &str| members.get(field).and_then(Value::as_str);
    let function = declared(text("name").unwrap_or_default(), members)?;
    Ok(Installed { function, owner: text("owner").filter(|owner| !owner.is_empty()).map(str::to_owned) })
}

fn declared(name: &str, members: &Map<String, Value>) -> Result<Function, String> {
    let mut spec = match members.get("spec") {
        Some(Value::Object(spec)) => spec.clone(),
        _ => of_layotto(members),
    };
    if let Some(number) = members.get("instance_num").and_then(Value::as_u64).filter(|number| *number > 0) {
        spec.insert("instances".into(), json!({ "max": number }));
    }
    let document = json!({ "metadata": { "name": name }, "spec": spec });
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    Function::read(&here.join("installed"), &document)
}

/// Layotto's `vm_config` and further texts, which are the plugin's configuration. Its functions reach every state store
/// and every other function.
fn of_layotto(members: &Map<String, Value>) -> Map<String, Value> {
    let vm = |field: &str| members.get("vm_config").and_then(|vm| vm.get(field)).and_then(Value::as_str);
    let module = vm("path").filter(|path| !path.is_empty()).or(vm("url")).unwrap_or_default();
    let texts = members.iter().filter(|(name, value)| value.is_string() && name.as_str() != "from_wasm_plugin");
    let configuration: Map<String, Value> = texts.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut spec = Map::new();
    spec.insert("module".into(), json!(module));
    if let Some(md5) = vm("md5").filter(|md5| !md5.is_empty()) {
        spec.insert("digest".into(), json!(format!("md5:{md5}")));
    }
    spec.insert("config".into(), Value::Object(configuration));
    spec.insert("configFormat".into(), json!("layotto"));
    spec.insert("grants".into(), json!({ "state": ["*:read"], "invoke": ["*"] }));
    spec
}
