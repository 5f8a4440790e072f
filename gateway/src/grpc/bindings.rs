//! `InvokeBinding` of the Dapr service.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use proto_dapr::runtime::*;

use super::Context;
use crate::blocks::bindings::InvokeBinding;
use crate::error::ApiError;

pub async fn invoke(
    context: Context,
    request: InvokeBindingRequest,
) -> Result<(InvokeBindingResponse, HeaderMap), ApiError> {
    let operation = InvokeBinding {
        name: request.name,
        operation: request.operation,
        data: request.data,
        metadata: request.metadata.into_iter().collect(),
    };
    let reply = context.runtime.call(&context.call, operation).await?.unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (key, value) in &reply.metadata {
        let name = HeaderName::from_bytes(format!("metadata.{}", key.to_ascii_lowercase()).as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    Ok((InvokeBindingResponse { data: reply.data, metadata: reply.metadata.into_iter().collect() }, headers))
}
