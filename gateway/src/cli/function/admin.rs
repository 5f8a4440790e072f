//! Functions at a running gateway, through its port for managing them (`--functions-admin-port`).

use std::fmt::Write;

use clap::Args;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::invoke::causes;
use super::manifest::Project;
use super::{Failure, Outcome, print, print_line, runtime};

/// What a gateway with an API token wants to see, and where clients have it from.
const TOKEN_HEADER: &str = "dapr-api-token";
const TOKEN: &str = "DAPR_API_TOKEN";

#[derive(Debug, Args)]
pub struct ListOptions {
    /// Where the gateway's functions are managed, such as http://localhost:3502
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

/// Installs a function, in the place of the one of its name if there is one; gives its state in words.
///
/// The module is read where it is: the gateway must see the same files, and takes what is built there later.
pub async fn deploy(address: &Url, project: &Project) -> Outcome<String> {
    let module = std::path::absolute(project.module()?).map_err(|error| project.failure(&error.to_string()))?;
    let mut spec = project.document.get("spec").cloned().unwrap_or_default();
    if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("build");
        spec.insert("module".to_owned(), json!(format!("file://{}", module.display())));
    }
    let name = project.name.as_str();
    if find(address, name).await?.is_some() {
        ask(address, Method::POST, "/wasm/uninstall", Some(json!({ "name": name }))).await?;
    }
    ask(address, Method::POST, "/wasm/install", Some(json!({ "name": name, "spec": spec }))).await?;
    let found = find(address, name).await?;
    let found = found.ok_or_else(|| Failure::new(format!("{address} has forgotten {name} again: its log says why")))?;
    match found.get("error").and_then(Value::as_str) {
        Some(error) => Err(Failure::new(format!("{name} is installed, but cannot be called: {error}"))),
        None => Ok(text(&found, "status")),
    }
}

/// Takes a function away.
pub async fn remove(address: &Url, name: &str) -> Outcome {
    ask(address, Method::POST, "/wasm/uninstall", Some(json!({ "name": name }))).await.map(|_| ())
}

async fn find(address: &Url, name: &str) -> Outcome<Option<Value>> {
    Ok(functions(address).await?.into_iter().find(|function| text(function, "name") == name))
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
/// No answer, or the gateway's own words.
async fn ask(address: &Url, method: Method, path: &str, body: Option<Value>) -> Outcome<Value> {
    let failed = |error: &str| {
        Failure::new(format!(
            "no answer of {address}: {error}: a gateway manages functions where --functions-admin-port says"
        ))
    };
    let url = address.join(path).map_err(|error| failed(&error.to_string()))?;
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| failed(&causes(&error)))?;
    let mut request = client.request(method, url);
    if let Ok(token) = std::env::var(TOKEN) {
        request = request.header(TOKEN_HEADER, token);
    }
    if let Some(body) = body {
        request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_string());
    }
    let response = request.send().await.map_err(|error| failed(&causes(&error)))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| failed(&causes(&error)))?;
    let answer = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
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
