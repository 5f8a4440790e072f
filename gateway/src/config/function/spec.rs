//! A function's `spec` as it is written, and what it comes to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use components::Metadata;
use components::cron::Schedule;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use wasm_host::abi::proxy_wasm::configuration;
use wasm_host::digest::Pins;
use wasm_host::sidecar::Grants;
use wasm_host::source::Source;

use super::{Function, HttpTrigger, Instances, Limits, TopicTrigger, Triggers, Vm};
use crate::config::GoDuration;
use crate::config::quantity::parse_bytes;

/// What a request may take unless the function says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What one callback may compute.
const TIME: Duration = Duration::from_secs(5);

/// How long a call waits for a free guest.
const WAIT: Duration = Duration::from_secs(1);

const MEMORY: usize = 64 << 20;
const BODY: usize = 4 << 20;
const GUESTS: usize = 100;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct FunctionSpec {
    pub module: String,
    pub digest: String,
    pub handler: String,
    pub triggers: Vec<TriggerSpec>,
    /// Another word for triggers.
    pub events: Vec<TriggerSpec>,
    pub instances: InstancesSpec,
    pub limits: LimitsSpec,
    pub grants: Grants,
    pub config: Option<Value>,
    pub config_format: String,
    pub env: BTreeMap<String, String>,
    pub vm: VmSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct TriggerSpec {
    http: Option<HttpSpec>,
    topic: Option<TopicSpec>,
    cron: Option<String>,
    timer: Option<TimerSpec>,
    id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HttpSpec {
    path: String,
    #[serde(alias = "methods")]
    method: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct TopicSpec {
    #[serde(alias = "pubsubname")]
    pubsub: String,
    topic: String,
    dead_letter_topic: String,
    rules: Vec<RuleSpec>,
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuleSpec {
    #[serde(rename = "match")]
    condition: String,
    path: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TimerSpec {
    cron: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct InstancesSpec {
    min: Option<usize>,
    max: Option<usize>,
    wait: String,
    calls: Option<u32>,
    growth: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct LimitsSpec {
    memory: String,
    time: String,
    timeout: String,
    fuel: Option<u64>,
    body: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub struct VmSpec {
    id: String,
    root_id: String,
    config: Option<Value>,
}

impl FunctionSpec {
    /// The function `name` of the manifest `file`.
    ///
    /// # Errors
    /// The field below `spec`, and what is wrong with it.
    pub fn resolve(self, name: &str, file: &Path) -> Result<Function, String> {
        let module = module(&self.module, file)?;
        let is_layotto = match self.config_format.as_str() {
            "" | "bytes" => false,
            "layotto" => true,
            other => return Err(format!("configFormat: '{other}' is neither bytes nor layotto")),
        };
        let mut triggers = Triggers::default();
        for (list, specs) in [("triggers", self.triggers), ("events", self.events)] {
            for (index, spec) in specs.into_iter().enumerate() {
                spec.add_to(&mut triggers).map_err(|error| format!("{list}[{index}]{error}"))?;
            }
        }
        let or_name = |text: String| if text.is_empty() { name.to_owned() } else { text };
        Ok(Function {
            name: name.to_owned(),
            file: file.to_owned(),
            pins: pins(&self.digest)?,
            handler: Some(self.handler).filter(|handler| !handler.is_empty()),
            triggers,
            instances: self.instances.resolve()?,
            limits: self.limits.resolve()?,
            grants: self.grants,
            configuration: configured(self.config.as_ref(), is_layotto),
            values: values(self.config.as_ref()),
            vm: Vm {
                id: or_name(self.vm.id),
                root_id: self.vm.root_id,
                configuration: match (self.vm.config.as_ref(), is_layotto) {
                    (None, true) => configuration(&[("Engine", "wasmtime"), ("Path", &module)]),
                    (given, is_layotto) => configured(given, is_layotto),
                },
            },
            environment: self.env,
            module,
        })
    }
}

/// The module's place as a URL; a path, with `file://` before it or without, is relative to the folder of the manifest.
fn module(given: &str, file: &Path) -> Result<String, String> {
    if given.is_empty() {
        return Err("module is missing: it is the path of a .wasm file, or an http, https or oci URL".into());
    }
    let path = match given.strip_prefix("file://") {
        Some(path) => Some(path),
        None => (!given.contains("://")).then_some(given),
    };
    let url = match path {
        None => given.to_owned(),
        Some(path) => {
            let path = file.parent().unwrap_or(Path::new(".")).join(path);
            format!("file://{}", std::path::absolute(&path).unwrap_or(path).display())
        }
    };
    Source::parse(&url).map_err(|error| format!("module: {error}"))?;
    Ok(url)
}

fn pins(digest: &str) -> Result<Pins, String> {
    match digest.split_once(':') {
        _ if digest.is_empty() => Ok(Pins::default()),
        Some(("sha256", hex)) => Ok(Pins { sha256: Some(hex.to_owned()), md5: None }),
        Some(("md5", hex)) => Ok(Pins { sha256: None, md5: Some(hex.to_owned()) }),
        _ => Err(format!("digest: '{digest}' is neither sha256:… nor md5:…")),
    }
}

/// What a guest gets: text as it is, anything else as JSON; or the texts among the members as Layotto's list of pairs.
fn configured(given: Option<&Value>, is_layotto: bool) -> Bytes {
    match given {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::Object(members)) if is_layotto => {
            let pairs: Vec<(&str, &str)> =
                members.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
            configuration(&pairs)
        }
        Some(Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(other) => other.to_string().into(),
    }
}

/// The members of a configuration, as texts.
fn values(given: Option<&Value>) -> BTreeMap<String, String> {
    let members = given.and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.map(|(name, value)| (name.clone(), text(value))).collect()
}

impl TriggerSpec {
    fn add_to(self, triggers: &mut Triggers) -> Result<(), String> {
        let Self { http, topic, cron, timer, id } = self;
        let cron = cron.or(timer.map(|timer| timer.cron));
        if http.is_none() && topic.is_none() && cron.is_none() && id.is_none() {
            return Err(": it is none of http, topic, cron, id".into());
        }
        if let Some(http) = http {
            triggers.http.push(http.resolve().map_err(|error| format!(".http.{error}"))?);
        }
        if let Some(topic) = topic {
            triggers.topics.push(topic.resolve().map_err(|error| format!(".topic.{error}"))?);
        }
        if let Some(cron) = cron {
            let schedule = Schedule::parse(&cron).map_err(|error| format!(".cron: '{cron}': {error}"))?;
            triggers.schedules.push((cron, schedule));
        }
        triggers.ids.extend(id);
        Ok(())
    }
}

impl HttpSpec {
    fn resolve(self) -> Result<HttpTrigger, String> {
        if !self.path.starts_with('/') {
            return Err(format!("path: '{}' does not begin with /", self.path));
        }
        let given = match self.method {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(methods)) => methods,
            Some(one) => vec![one],
        };
        let mut methods = Vec::new();
        for method in given {
            let text = method.as_str().unwrap_or_default().to_ascii_uppercase();
            let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| !text.is_empty());
            methods.push(method.ok_or_else(|| format!("method: '{text}' is no method such as GET"))?);
        }
        Ok(HttpTrigger { path: self.path, methods })
    }
}

impl TopicSpec {
    fn resolve(self) -> Result<TopicTrigger, String> {
        let Self { pubsub, topic, dead_letter_topic, rules, metadata } = self;
        for (field, value) in [("pubsub", &pubsub), ("topic", &topic)] {
            if value.is_empty() {
                return Err(format!("{field} is missing"));
            }
        }
        let mut rules: Vec<_> = rules.into_iter().map(|rule| (rule.condition, slashed(&rule.path))).collect();
        if rules.iter().all(|(condition, _)| !condition.is_empty()) {
            rules.push((String::new(), slashed(&topic)));
        }
        Ok(TopicTrigger { pubsub, topic, dead_letter_topic, rules, metadata })
    }
}

fn slashed(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

impl InstancesSpec {
    fn resolve(self) -> Result<Instances, String> {
        let min = self.min.unwrap_or_default();
        let max = self.max.filter(|max| *max > 0).unwrap_or(GUESTS.max(min));
        if min > max {
            return Err(format!("instances: min is {min} and max is {max}"));
        }
        Ok(Instances {
            min,
            max,
            wait: duration("instances.wait", &self.wait, WAIT)?,
            calls: self.calls.filter(|calls| *calls > 0).unwrap_or(u32::MAX),
            growth: size("instances.growth", &self.growth, usize::MAX)?,
        })
    }
}

impl LimitsSpec {
    fn resolve(self) -> Result<Limits, String> {
        Ok(Limits {
            memory: size("limits.memory", &self.memory, MEMORY)?,
            time: duration("limits.time", &self.time, TIME)?,
            timeout: duration("limits.timeout", &self.timeout, TIMEOUT)?,
            fuel: self.fuel.filter(|fuel| *fuel > 0),
            body: size("limits.body", &self.body, BODY)?,
        })
    }
}

fn size(field: &str, text: &str, default: usize) -> Result<usize, String> {
    if text.is_empty() {
        return Ok(default);
    }
    let bytes = parse_bytes(text).ok().and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| format!("{field}: '{text}' is no size such as 64Mi"))
}

fn duration(field: &str, text: &str, default: Duration) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(default);
    }
    let given = text.parse::<GoDuration>().ok().and_then(GoDuration::to_std).filter(|given| !given.is_zero());
    given.ok_or_else(|| format!("{field}: '{text}' is no duration such as 500ms"))
}
