//! Functions at a running gateway, through its port or socket for managing them (`--functions-admin-port`,
//! `--functions-admin-socket`).

use std::fmt::Write;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, Url};
use serde_json::{Value, json};

use super::invoke::causes;
use super::manifest::Project;
use super::{Failure, Outcome, print, print_line, runtime};

/// What a gateway with an API token wants to see, and where clients have it from.
const TOKEN_HEADER: &str = "dapr-api-token";
const TOKEN: &str = "DAPR_API_TOKEN";

#[derive(Debug, Args)]
pub struct ListOptions {
    /// Where the gateway's functions are managed: http://localhost:3502, or unix:///run/ottavo/admin.sock
    #[arg(long, value_name = "URL")]
    admin: Url,
    /// Print what the gateway answers, as JSON
    #[arg(long)]
    json: bool,
}

pub fn list(options: &ListOptions) -> Outcome {
    let answer = runtime()?.block_on(functions(&options.admin))?;
    if options.json {
        print_line(&format!("{}", Value::Array(answer)));
    } else {
        print(&table(&answer));
    }
    Ok(())
}

/// Installs a function, or puts it in the place of the one of its name, which serves until the new one can; gives its
/// state in words.
pub async fn deploy(address: &Url, project: &Project, module: &[u8]) -> Outcome<String> {
    let brought = send(address, Method::PUT, "/wasm/modules", Some(("application/wasm", module.to_vec()))).await?;
    let mut spec = project.document.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("build");
        spec.insert("module".to_owned(), json!(text(&json(brought).await?, "module")));
    }
    let path = format!("/wasm/functions/{}", utf8_percent_encode(&project.name, NON_ALPHANUMERIC));
    let answer = ask(address, Method::PUT, &path, Some(json!({ "spec": spec }))).await?;
    Ok(text(&answer, "status"))
}

/// Prints the lines that a function writes from now on, until it is removed.
pub async fn follow(address: &Url, name: &str) -> Outcome {
    let path = format!("/wasm/functions/{}/logs", utf8_percent_encode(name, NON_ALPHANUMERIC));
    let mut response = send(address, Method::GET, &path, None).await?;
    loop {
        match response.chunk().await {
            Ok(Some(lines)) => print(&String::from_utf8_lossy(&lines)),
            Ok(None) => return Ok(()),
            Err(error) => return Err(Failure::new(format!("{address} has hung up: {}", causes(&error)))),
        }
    }
}

/// Takes a function away.
pub async fn remove(address: &Url, name: &str) -> Outcome {
    ask(address, Method::POST, "/wasm/uninstall", Some(json!({ "name": name }))).await.map(|_| ())
}

async fn functions(address: &Url) -> Outcome<Vec<Value>> {
    let answer = ask(address, Method::GET, "/wasm/functions", None).await?;
    match answer.get("functions").and_then(Value::as_array) {
        Some(functions) => Ok(functions.clone()),
        None => Err(Failure::new(format!("{address} has no list of functions: is it a gateway's admin port?"))),
    }
}

/// Sends a request; gives the answer's JSON.
///
/// # Errors
/// As [`send`].
async fn ask(address: &Url, method: Method, path: &str, body: Option<Value>) -> Outcome<Value> {
    let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
    json(send(address, method, path, body).await?).await
}

async fn json(response: Response) -> Outcome<Value> {
    let body = response.bytes().await.map_err(|error| Failure::new(format!("no whole answer: {}", causes(&error))))?;
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// Sends a request with a body and its type.
///
/// # Errors
/// No answer, or the gateway's own words.
async fn send(address: &Url, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Outcome<Response> {
    let failed = |error: &str| {
        Failure::new(format!(
            "no answer of {address}: {error}: a gateway manages functions where --functions-admin-port or \
             --functions-admin-socket says"
        ))
    };
    let client = reqwest::Client::builder().no_proxy();
    let (client, url) = match address.scheme() {
        "unix" => (client.unix_socket(address.path()), Url::parse(&format!("http://localhost{path}"))),
        _ => (client, address.join(path)),
    };
    let url = url.map_err(|error| failed(&error.to_string()))?;
    let client = client.build().map_err(|error| failed(&causes(&error)))?;
    let mut request = client.request(method, url);
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header(TOKEN_HEADER, token);
    }
    if let Some((kind, body)) = body {
        request = request.header(reqwest::header::CONTENT_TYPE, kind).body(body);
    }
    let response = request.send().await.map_err(|error| failed(&causes(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.map_err(|error| failed(&causes(&error)))?;
    let answer = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let said = ["error", "message"].into_iter().find_map(|field| answer.get(field)).and_then(Value::as_str);
    let said = said.map_or_else(|| String::from_utf8_lossy(&body).into_owned(), str::to_owned);
    Err(Failure::new(format!("{address} refuses: {status}: {said}")))
}

fn text(value: &Value, field: &str) -> String {
    match value.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The list for a person.
fn table(functions: &[Value]) -> String {
    const COLUMNS: [(&str, &str); 6] = [
        ("NAME", "name"),
        ("STATUS", "status"),
        ("VERSION", "version"),
        ("GUESTS", "guests"),
        ("CALLS", "calls"),
        ("FAILURES", "failures"),
    ];
    let rows: Vec<[String; 6]> = std::iter::once(COLUMNS.map(|(title, _)| title.to_owned()))
        .chain(functions.iter().map(|function| COLUMNS.map(|(_, field)| text(function, field))))
        .collect();
    let widths: Vec<usize> =
        (0..COLUMNS.len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or_default()).collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing to a text does not fail.
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        let function = number.checked_sub(1).and_then(|number| functions.get(number));
        if let Some(error) = function.map(|function| text(function, "error")).filter(|error| !error.is_empty()) {
            let _ = writeln!(out, "  {error}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_columns_and_tells_what_is_wrong() {
        let functions = [
            json!({"name": "greeter", "status": "ready", "version": 2, "guests": 1, "calls": 17, "failures": 0}),
            json!({"name": "b", "status": "waiting", "version": null, "error": "open /b.wasm: no such file"}),
        ];
        let lines = [
            "NAME     STATUS   VERSION  GUESTS  CALLS  FAILURES",
            "greeter  ready    2        1       17     0",
            "b        waiting",
            "  open /b.wasm: no such file",
            "",
        ];
        assert_eq!(table(&functions), lines.join("\n"));
    }
}
