//! Routes of blocks that have no implementation in this build.

use http::{Response, StatusCode};
use serde_json::json;

use super::{Call, proto_json, respond};
use crate::blocks::absent;
use crate::body::Body;
use crate::error::{ApiError, table};
use crate::json::Json;

/// Answers as daprd 1.18 does without the component or the control plane that the operation needs.
pub async fn answer(operation: &str, mut call: Call) -> Result<Response<Body>, ApiError> {
    let error = match operation {
        "GetConfiguration" | "SubscribeConfiguration" | "UnsubscribeConfiguration" => absent::configuration(),
        "TryLock" => {
            let fields = proto_json::object(&call.read().await?)?;
            let expiry = number(&fields, "expiryInSeconds");
            absent::try_lock(&call.parameter(0), expiry)
        }
        "Unlock" => {
            proto_json::object(&call.read().await?)?;
            absent::unlock()
        }
        "Encrypt" => crypto(call, &["dapr-key-name", "dapr-key-wrap-algorithm"]),
        "Decrypt" => crypto(call, &[]),
        "Converse" | "ConverseAlpha2" => {
            proto_json::object(&call.read().await?)?;
            absent::conversation(&call.runtime.shared, &call.parameters[0])
        }
        "ScheduleJob" => schedule_job(call).await?,
        "GetJob" => absent::one_job(&call.runtime.shared, &call.parameters[0], "get job", "DAPR_SCHEDULER_GET_JOB"),
        "DeleteJob" => {
            absent::one_job(&call.runtime.shared, &call.parameters[0], "delete job", "DAPR_SCHEDULER_DELETE_JOB")
        }
        other if other.starts_with("Subtle") => table::common::unimplemented(),
        "RegisterActorReminder" | "RegisterActorTimer" | "ExecuteActorStateTransaction" => {
            // Read before placement is asked for, as in daprd.
            let body = call.bytes().await.map_err(|error| table::common::malformed(&error))?;
            crate::json::parse_first(&body).map_err(|error| table::common::malformed(&error.to_string()))?;
            absent::placement()
        }
        other if is_actor_or_workflow(other) => absent::placement(),
        other => {
            let text = format!("the operation {other} is in the catalogue but not in the HTTP front");
            return Ok(respond::json(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({"errorCode": "ERROR", "message": text}),
            ));
        }
    };
    Err(error)
}

fn is_actor_or_workflow(operation: &str) -> bool {
    crate::catalog::ROWS.iter().any(|row| row.operation == operation && matches!(row.group, "actors" | "workflows"))
}

/// The component is looked at before the headers.
fn crypto(call: Call, required: &[&str]) -> ApiError {
    let error = absent::crypto(&call.runtime.shared, &call.parameters[0]);
    if error.tag() != "ERR_API_UNIMPLEMENTED" {
        return error;
    }
    match required.iter().find(|name| call.headers().get(**name).is_none_or(http::HeaderValue::is_empty)) {
        Some(name) => table::common::bad_request(&format!("missing header '{name}'")),
        None => error,
    }
}

async fn schedule_job(mut call: Call) -> Result<ApiError, ApiError> {
    let fields = proto_json::object(&call.read().await?)?;
    let name = call.parameter(0);
    let shared = &call.runtime.shared;
    if fields.get("name").and_then(Json::as_str).is_some_and(|name| !name.is_empty()) {
        return Ok(table::jobs::name_in_body(&shared.app_id));
    }
    let is_scheduled = ["schedule", "dueTime", "due_time"].iter().any(|name| fields.contains_key(*name));
    Ok(absent::schedule_job(shared, Some(absent::Job { name, is_scheduled })))
}

fn number(fields: &std::collections::BTreeMap<String, Json>, name: &str) -> i64 {
    match fields.get(name) {
        Some(Json::Number(text) | Json::String(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}
