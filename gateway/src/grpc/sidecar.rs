//! Metadata and shutdown methods of the Dapr service.

use proto_dapr::runtime::*;

use super::Context;
use crate::blocks::sidecar::{AppConnection, GetMetadata, RUNTIME_VERSION, SetMetadata};
use crate::error::ApiError;
use crate::loaded::{SubscriptionInfo, SubscriptionSource};

pub async fn get_metadata(context: Context, _request: GetMetadataRequest) -> Result<GetMetadataResponse, ApiError> {
    let metadata = context.runtime.call(&context.call, GetMetadata).await?;
    Ok(GetMetadataResponse {
        id: metadata.app_id,
        registered_components: metadata
            .components
            .into_iter()
            .map(|component| RegisteredComponents {
                name: component.name,
                r#type: component.kind_and_name,
                version: component.version,
                capabilities: component.capabilities,
            })
            .collect(),
        extended_metadata: metadata.extended.into_iter().collect(),
        subscriptions: metadata.subscriptions.into_iter().map(subscription).collect(),
        http_endpoints: metadata.http_endpoints.into_iter().map(|name| MetadataHttpEndpoint { name }).collect(),
        app_connection_properties: Some(app(metadata.app)),
        runtime_version: RUNTIME_VERSION.to_owned(),
        enabled_features: metadata.features,
        actor_runtime: Some(ActorRuntime {
            runtime_status: actor_runtime::ActorRuntimeStatus::Disabled.into(),
            placement: "placement: disconnected".to_owned(),
            ..Default::default()
        }),
        workflows: Some(MetadataWorkflows::default()),
        resiliencies: metadata.resiliencies.into_iter().map(|name| MetadataResiliency { name }).collect(),
        ..Default::default()
    })
}

fn subscription(subscription: SubscriptionInfo) -> PubsubSubscription {
    let source = match subscription.source {
        SubscriptionSource::Declarative => PubsubSubscriptionType::Declarative,
        SubscriptionSource::Programmatic => PubsubSubscriptionType::Programmatic,
        SubscriptionSource::Streaming => PubsubSubscriptionType::Streaming,
    };
    let rules = subscription
        .rules
        .into_iter()
        .map(|(condition, path)| PubsubSubscriptionRule { r#match: condition, path })
        .collect();
    PubsubSubscription {
        pubsub_name: subscription.pubsub,
        topic: subscription.topic,
        metadata: subscription.metadata.into_iter().collect(),
        rules: Some(PubsubSubscriptionRules { rules }),
        dead_letter_topic: subscription.dead_letter_topic,
        r#type: source.into(),
    }
}

fn app(app: AppConnection) -> AppConnectionProperties {
    AppConnectionProperties {
        port: app.port.into(),
        protocol: app.protocol,
        channel_address: app.channel_address,
        max_concurrency: app.max_concurrency,
        health: app.health.map(|health| AppConnectionHealthProperties {
            health_check_path: health.path,
            health_probe_interval: health.interval,
            health_probe_timeout: health.timeout,
            health_threshold: health.threshold,
        }),
    }
}

pub async fn set_metadata(context: Context, request: SetMetadataRequest) -> Result<(), ApiError> {
    let operation = SetMetadata { key: request.key, value: request.value };
    context.runtime.call(&context.call, operation).await
}

pub async fn shutdown(context: Context, _request: ShutdownRequest) -> Result<(), ApiError> {
    let forced = context
        .headers
        .get("dapr-force-shutdown")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    context.runtime.sidecar.shutdown(forced);
    Ok(())
}
