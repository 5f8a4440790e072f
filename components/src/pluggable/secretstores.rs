//! Secret stores in other processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use proto_dapr::components::secret_store_client::SecretStoreClient;
use proto_dapr::components::{
    BulkGetSecretRequest, FeaturesRequest, GetSecretRequest, PingRequest, SecretStoreInitRequest,
};

use super::socket::{Connection, Socket, init_metadata};
use super::status::error;
use crate::component::{Built, InitContext, Spec};
use crate::registry::Registry;
use crate::secretstores::{Features, SecretData, SecretStore};
use crate::{Metadata, Result};

pub(super) const SERVICE: &str = "dapr.proto.components.v1.SecretStore";

pub(super) fn register(registry: &mut Registry, kind_and_name: &str, socket: Socket) {
    registry.add(kind_and_name, "v1", &[], move |spec, context| build(socket.clone(), spec, context));
}

async fn build(socket: Socket, spec: Spec, context: InitContext) -> Result<Built> {
    let connection = socket.connect(&spec.name, context.init_timeout).await?;
    let mut client = SecretStoreClient::new(connection).max_decoding_message_size(usize::MAX);
    let metadata = init_metadata(&spec.properties);
    client.init(SecretStoreInitRequest { metadata }).await.map_err(error)?;
    let features = client.features(FeaturesRequest {}).await.map_err(error)?.into_inner().features;
    let multiple = features.iter().any(|feature| feature == "MULTIPLE_KEY_VALUES_PER_SECRET");
    let features = Features { multiple_key_values_per_secret: multiple };
    Ok(Built::SecretStore(Arc::new(Pluggable { client, features })))
}

struct Pluggable {
    client: SecretStoreClient<Connection>,
    features: Features,
}

#[async_trait]
impl SecretStore for Pluggable {
    fn features(&self) -> Features {
        self.features
    }

    async fn get(&self, name: &str, metadata: &Metadata) -> Result<SecretData> {
        let request = GetSecretRequest { key: name.to_owned(), metadata: metadata.clone().into_iter().collect() };
        let reply = self.client.clone().get(request).await.map_err(error)?;
        Ok(reply.into_inner().data.into_iter().collect())
    }

    async fn bulk_get(&self, metadata: &Metadata) -> Result<BTreeMap<String, SecretData>> {
        let request = BulkGetSecretRequest { metadata: metadata.clone().into_iter().collect() };
        let reply = self.client.clone().bulk_get(request).await.map_err(error)?;
        let secrets = reply.into_inner().data.into_iter();
        Ok(secrets.map(|(name, secret)| (name, secret.secrets.into_iter().collect())).collect())
    }

    async fn ping(&self) -> Result<()> {
        self.client.clone().ping(PingRequest {}).await.map_err(error)?;
        Ok(())
    }
}
