//! `/v1.0/bindings`: output bindings over HTTP.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::{Call, respond};
use crate::blocks::bindings::InvokeBinding;
use crate::body::Body;
use crate::error::{ApiError, table};
use crate::json::{Fields, Json, parse_first};

pub async fn invoke(mut call: Call) -> Result<Response<Body>, ApiError> {
    let name = call.parameter(0);
    let body = call.bytes().await.map_err(|error| table::common::malformed(&error))?;
    let malformed = |error: String| table::common::malformed(&error);
    let json = parse_first(&body).map_err(|error| malformed(error.to_string()))?;
    let fields = Fields::of(&json, "OutputBindingRequest", "http.OutputBindingRequest")
        .map_err(|error| malformed(error.to_string()))?;
    let mut operation =
        InvokeBinding { name, operation: String::new(), data: Bytes::new(), metadata: Default::default() };
    if let Some(fields) = fields {
        operation.metadata = fields.string_map("metadata").map_err(|error| malformed(error.to_string()))?;
        operation.operation =
            fields.string("operation").map_err(|error| malformed(error.to_string()))?.unwrap_or_default();
        operation.data = Bytes::from(fields.get("data").unwrap_or(&Json::Null).to_text());
    }
    if let Some(trace) = &call.context.trace {
        operation.metadata.insert("traceparent".into(), trace.traceparent());
        if let Some(state) = trace.tracestate() {
            operation.metadata.insert("tracestate".into(), state.to_owned());
        }
    }
    if let Some(baggage) = &call.context.baggage {
        operation.metadata.insert("baggage".into(), baggage.clone());
    }
    let Some(reply) = call.runtime.call(&call.context, operation).await? else { return Ok(respond::empty()) };
    let mut response = respond::data(StatusCode::OK, reply.data);
    respond::metadata_headers(&mut response, &reply.metadata);
    Ok(response)
}
