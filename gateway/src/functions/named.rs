//! Managing one function by its name over HTTP: `/wasm/functions/NAME`, and the modules that functions are made of.
//!
//! Unlike Layotto's install, a function is here or the answer says why not, and then everything is as it was.

use std::path::Path;

use http::{HeaderValue, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::admin::{self, AdminApi, failed};
use super::{Refused, modules};
use crate::body::{Body, collect};
use crate::http::respond;

impl AdminApi {
    /// A module's bytes.
    pub(super) async fn bring(&self, body: Body) -> Response<Body> {
        match self.modules.bring(body).await {
            Ok(brought) => {
                let module = format!("file://{}", brought.path.display());
                respond::json(StatusCode::OK, &json!({ "module": module, "sha256": brought.sha256 }))
            }
            Err(error) => {
                let status = match &error {
                    modules::Refusal::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
                    modules::Refusal::Received(_) => StatusCode::BAD_REQUEST,
                    modules::Refusal::Kept(..) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                failed(status, &error.to_string())
            }
        }
    }

    /// `rest` is what stands behind `/wasm/functions/`; `None`: there is nothing of this kind.
    pub(super) async fn named(
        &self,
        method: &Method,
        rest: &str,
        query: Option<&str>,
        body: Body,
    ) -> Option<Response<Body>> {
        let (name, under) = rest.split_once('/').map_or((rest, None), |(name, under)| (name, Some(under)));
        let name = percent_decode_str(name).decode_utf8().ok().filter(|name| !name.is_empty())?;
        let answer = match (method, under) {
            (&Method::GET, None) => self.show(&name),
            (&Method::GET, Some("logs")) => self.follow(&name),
            (&Method::PUT, None) => self.put(&name, body).await,
            (&Method::DELETE, None) => self.delete(&name, owner(query).as_deref()).await,
            _ => return None,
        };
        Some(answer.unwrap_or_else(|(status, text)| failed(status, &text)))
    }

    fn show(&self, name: &str) -> Answer {
        let table = self.functions.table();
        let slot = table.by_name(name).ok_or_else(|| unknown(name))?;
        Ok(respond::json(StatusCode::OK, &admin::about(slot)))
    }

    /// What the function's guests write from now on, a line each.
    fn follow(&self, name: &str) -> Answer {
        let table = self.functions.table();
        let slot = table.by_name(name).ok_or_else(|| unknown(name))?;
        let mut response = Response::new(slot.lines.follow(self.drain.clone()));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, text);
        Ok(response)
    }

    /// The function as a manifest's `spec` says, and whose it is.
    async fn put(&self, name: &str, body: Body) -> Answer {
        let bad = |text: String| (StatusCode::BAD_REQUEST, text);
        let body = collect(body, admin::LIMIT).await.map_err(|error| bad(format!("the request's body: {error}")))?;
        let mut members = admin::members(&body)?;
        if !members.get("spec").is_some_and(Value::is_object) {
            return Err(bad("spec is missing: it is the one of a function's manifest".into()));
        }
        members.insert("name".into(), json!(name));
        let installed = admin::installed(&members).map_err(bad)?;
        let (store, functions, modules) = (self.store.clone(), self.functions.clone(), self.modules.clone());
        // In a task of its own: who goes away before the answer leaves nothing half done.
        let replaced = tokio::spawn(async move {
            let name = installed.function.name.clone();
            let module = installed.function.module_file().map(Path::to_owned);
            let keep = || store.save(&name, Value::Object(members).to_string().as_bytes());
            let replaced = functions.replace(installed, keep).await;
            modules.settle(module.as_deref());
            modules.sweep(&functions);
            replaced
        });
        match replaced.await {
            Ok(Ok(slot)) => Ok(respond::json(StatusCode::OK, &admin::about(&slot))),
            Ok(Err(refused)) => Err(because(&refused)),
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        }
    }

    async fn delete(&self, name: &str, owner: Option<&str>) -> Answer {
        let taken = self.functions.take(name, owner, || self.store.remove(name)).await;
        taken.map_err(|refused| because(&refused))?;
        self.modules.sweep(&self.functions);
        Ok(Response::new(Body::empty()))
    }
}

type Answer = Result<Response<Body>, (StatusCode, String)>;

fn unknown(name: &str) -> (StatusCode, String) {
    because(&Refused::Unknown(name.to_owned()))
}

fn because(refused: &Refused) -> (StatusCode, String) {
    let status = match refused {
        Refused::Unknown(_) => StatusCode::NOT_FOUND,
        Refused::Declared { .. } | Refused::Owned { .. } => StatusCode::CONFLICT,
        Refused::Module { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::Kept { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, refused.to_string())
}

/// The parameter of this name.
fn owner(query: Option<&str>) -> Option<String> {
    let value = query?.split('&').find_map(|pair| pair.strip_prefix("owner="))?;
    percent_decode_str(value).decode_utf8().ok().map(Into::into)
}
