//! `ottavo function invoke`: one call, here or at a running gateway. Both are the same request to the same listener.

use std::io::{Read, Write};
use std::path::PathBuf;

use clap::Args;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::json;

use super::local::Local;
use super::manifest::Project;
use super::{Failure, Outcome, runtime};

pub const NOTES: &str = "\
Without --address the function runs right here: a gateway on embedded defaults starts, with the manifest's
limits and grants, takes this one call and ends. State stays for the next call (see --data-dir).

The answer's body goes to standard output, everything else to standard error. The exit code is 0 for a
status below 400, else 1.

Examples:
  ottavo function invoke --data 'hello'
  ottavo function invoke --path '/greeter?name=you' -H 'accept: text/plain' --include
  ottavo function invoke --topic orders --data '{\"id\": 7}'
  ottavo function invoke --address http://localhost:3000 --file order.json";

/// Names the function that is meant, whatever its triggers.
const ID: &str = "id";

#[derive(Debug, Args)]
pub struct Options {
    /// Folder of the function
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Send this as the body
    #[arg(long, short, value_name = "TEXT", conflicts_with = "file", help_heading = "Request")]
    data: Option<String>,
    /// Send this file as the body; - is the standard input
    #[arg(long, short, value_name = "FILE", help_heading = "Request")]
    file: Option<PathBuf>,
    /// Path, with a query if there is one [default: that of the first HTTP trigger]
    #[arg(long, short, value_name = "PATH", help_heading = "Request")]
    path: Option<String>,
    /// Method [default: GET, or POST with a body]
    #[arg(long, short = 'X', value_name = "METHOD", help_heading = "Request")]
    method: Option<String>,
    /// Header, as NAME: VALUE; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER", help_heading = "Request")]
    header: Vec<String>,
    /// Send the body as a message of this topic
    #[arg(long, value_name = "TOPIC", conflicts_with_all = ["path", "method"], help_heading = "Request")]
    topic: Option<String>,
    /// Print status and headers, too
    #[arg(long, short)]
    include: bool,
    /// Call the function at a running gateway: where its functions are served, such as http://localhost:3000
    #[arg(long, short, value_name = "URL")]
    address: Option<Url>,
    /// Folder for the data of the default components [default: ~/.local/state/ottavo]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// The call, ready to be sent to any gateway.
struct Call {
    method: Method,
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

struct Answer {
    status: reqwest::StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

pub fn run(options: &Options) -> Outcome {
    let project = Project::read(&options.folder)?;
    let call = options.call(&project)?;
    let answer = match &options.address {
        Some(address) => runtime()?.block_on(send(address, call))?,
        None => {
            let local = Local::new(&project, options.data_dir.as_deref(), 0)?;
            let answer = local.during(async |_, address| send(&address, call).await)?;
            answer.ok_or_else(|| Failure::new("the gateway was told to stop before the function had answered"))?
        }
    };
    options.print(&answer)
}

impl Options {
    fn call(&self, project: &Project) -> Outcome<Call> {
        let body = self.body()?;
        let mut headers = Vec::new();
        // With a path the triggers say who takes the request, as for any other caller.
        if self.path.is_none() {
            let name = HeaderValue::from_str(&project.name).map_err(|error| project.failure(&error.to_string()))?;
            headers.push((HeaderName::from_static(ID), name));
        }
        for header in &self.header {
            headers.push(parse_header(header)?);
        }
        if let Some(topic) = &self.topic {
            let function = project.function()?;
            let trigger = function.triggers.topics.iter().find(|trigger| trigger.topic == *topic).ok_or_else(|| {
                project.failure(&format!("no trigger takes the topic '{topic}': spec.triggers names them"))
            })?;
            headers.push((CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json")));
            let path = trigger.rules.last().map_or_else(|| format!("/{topic}"), |(_, path)| path.clone());
            let body = envelope(&trigger.pubsub, topic, &body);
            return Ok(Call { method: Method::POST, path, headers, body });
        }
        let method = match &self.method {
            Some(method) => Method::from_bytes(method.to_uppercase().as_bytes())
                .map_err(|_| Failure::new(format!("'{method}' is no method such as GET")))?,
            None if body.is_empty() => Method::GET,
            None => Method::POST,
        };
        let path = match &self.path {
            Some(path) => format!("/{}", path.trim_start_matches('/')),
            None => {
                let function = project.function()?;
                let path = function.triggers.http.first().map_or("/", |trigger| trigger.path.as_str());
                path.trim_end_matches("...").trim_end_matches('*').to_owned()
            }
        };
        Ok(Call { method, path, headers, body })
    }

    fn body(&self) -> Outcome<Vec<u8>> {
        let Some(file) = &self.file else { return Ok(self.data.clone().unwrap_or_default().into_bytes()) };
        let mut body = Vec::new();
        let read = if file.as_os_str() == "-" {
            std::io::stdin().read_to_end(&mut body).map(|_| body)
        } else {
            std::fs::read(file)
        };
        read.map_err(|error| Failure::new(format!("{}: {error}", file.display())))
    }

    fn print(&self, answer: &Answer) -> Outcome {
        let mut out = std::io::stdout().lock();
        let mut text = Vec::new();
        if self.include {
            text.extend_from_slice(format!("HTTP {}\n", answer.status).as_bytes());
            for (name, value) in &answer.headers {
                text.extend_from_slice(format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())).as_bytes());
            }
            text.push(b'\n');
        }
        text.extend_from_slice(&answer.body);
        // A closed standard output is the reader's choice.
        let _ = out.write_all(&text).and_then(|()| out.flush());
        if answer.status.as_u16() < 400 {
            return Ok(());
        }
        if !answer.body.ends_with(b"\n") {
            eprintln!();
        }
        Err(Failure::new(format!("the function answered {}", answer.status)))
    }
}

fn parse_header(text: &str) -> Outcome<(HeaderName, HeaderValue)> {
    let wrong = || Failure::new(format!("'{text}' is no header such as 'accept: text/plain'"));
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

/// A message as an application gets it from Dapr.
fn envelope(pubsub: &str, topic: &str, data: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(data);
    let (data, kind) = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => (json, "application/json"),
        Err(_) => (json!(text), "text/plain"),
    };
    let event = json!({
        "specversion": "1.0", "type": "com.dapr.event.sent", "source": "ottavo", "id": uuid::Uuid::new_v4().to_string(),
        "datacontenttype": kind, "pubsubname": pubsub, "topic": topic, "data": data,
    });
    event.to_string().into_bytes()
}

async fn send(address: &Url, call: Call) -> Outcome<Answer> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(format!("no answer of {address}: {error}"));
    let url = address.join(&call.path).map_err(|error| failed(&error))?;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.map_err(|error| failed(&error))?;
    let mut request = client.request(call.method, url).body(call.body);
    for (name, value) in call.headers {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|error| failed(&causes(&error)))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.bytes().await.map_err(|error| failed(&causes(&error)))?.to_vec();
    Ok(Answer { status, headers, body })
}

/// An error with what stands behind it: the first line alone only says that something was sent.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text
}
