//! Secret methods of the Dapr service.

use proto_dapr::runtime::*;

use super::Context;
use crate::blocks::secrets::{GetBulkSecret, GetSecret};
use crate::error::ApiError;

pub async fn get(context: Context, request: GetSecretRequest) -> Result<GetSecretResponse, ApiError> {
    let operation =
        GetSecret { store: request.store_name, key: request.key, metadata: request.metadata.into_iter().collect() };
    let data = context.runtime.call(&context.call, operation).await?;
    Ok(GetSecretResponse { data: data.into_iter().collect() })
}

pub async fn get_bulk(context: Context, request: GetBulkSecretRequest) -> Result<GetBulkSecretResponse, ApiError> {
    let operation = GetBulkSecret { store: request.store_name, metadata: request.metadata.into_iter().collect() };
    let secrets = context.runtime.call(&context.call, operation).await?;
    let data = secrets
        .into_iter()
        .map(|(name, secret)| (name, SecretResponse { secrets: secret.into_iter().collect() }))
        .collect();
    Ok(GetBulkSecretResponse { data })
}
