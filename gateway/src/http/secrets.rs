//! `/v1.0/secrets`: the secrets API over HTTP.

use http::{Response, StatusCode};
use serde_json::json;

use super::{Call, respond};
use crate::blocks::secrets::{GetBulkSecret, GetSecret};
use crate::body::Body;
use crate::error::ApiError;

pub async fn get(mut call: Call) -> Result<Response<Body>, ApiError> {
    let (store, key) = (call.parameter(0), call.parameter(1));
    let operation = GetSecret { store, key, metadata: call.metadata() };
    let secret = call.runtime.call(&call.context, operation).await?;
    if secret.is_empty() {
        return Ok(respond::empty());
    }
    Ok(respond::json_line(StatusCode::OK, &json!(secret)))
}

pub async fn bulk(mut call: Call) -> Result<Response<Body>, ApiError> {
    let operation = GetBulkSecret { store: call.parameter(0), metadata: call.metadata() };
    let secrets = call.runtime.call(&call.context, operation).await?;
    Ok(respond::json_line(StatusCode::OK, &json!(secrets)))
}
