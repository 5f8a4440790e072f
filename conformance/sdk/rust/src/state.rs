//! State: get, save, delete, bulk, transactions, entity tags and time to live.

use std::collections::HashMap;

use dapr::client::{Etag, GetStateResponse, StateItem, StateOptions};
use dapr::dapr::proto::common::v1::state_options::StateConcurrency;
use dapr::dapr::proto::runtime::v1::{
    DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest, TransactionalStateOperation,
};
use serde_json::{Value, json};

use crate::Program;
use crate::facts::{Wrong, wait_for};

const STORE: &str = "statestore";

impl Program {
    pub async fn state(&mut self) -> Result<(), Wrong> {
        self.values().await?;
        self.entity_tags().await?;
        self.first_write().await?;
        self.many().await?;
        self.time_to_live().await
    }

    async fn get(&mut self, key: &str) -> Result<GetStateResponse, Wrong> {
        Ok(self.dapr.get_state(STORE, key, None).await?)
    }

    async fn save(&mut self, key: &str, value: &[u8], etag: Option<&str>) -> Result<(), dapr::error::Error> {
        let etag = etag.map(|value| Etag { value: value.to_owned() });
        self.dapr.save_state(STORE, key, value.to_vec(), etag, None, None).await
    }

    async fn values(&mut self) -> Result<(), Wrong> {
        let order = json!({"id": 7, "lines": ["é", null, 1.5]});
        self.save("json", order.to_string().as_bytes(), None).await?;
        let read = self.get("json").await?;
        self.facts.equal("state: json comes back", serde_json::from_slice::<Value>(&read.data)?, order)?;
        self.facts.holds("state: get has an etag", !read.etag.is_empty(), read)?;
        self.save("bytes", &[0, 255, 128], None).await?;
        let read = self.get("bytes").await?;
        self.facts.equal("state: bytes come back", read.data, [0, 255, 128])?;
        let missing = self.get("never saved").await?;
        self.facts.holds(
            "state: a missing key is empty",
            missing.data.is_empty() && missing.etag.is_empty(),
            missing,
        )?;
        let refused = self.dapr.get_state("nostore", "key", None).await;
        self.facts.error("state: an unknown store is an error", refused, "code: InvalidArgument")
    }

    async fn entity_tags(&mut self) -> Result<(), Wrong> {
        self.save("tagged", b"one", None).await?;
        let stale = self.get("tagged").await?.etag;
        self.save("tagged", b"two", Some(&stale)).await?;
        let read = self.get("tagged").await?;
        self.facts.equal("state: right etag saves", read.data, b"two")?;
        let conflict = self.save("tagged", b"three", Some(&stale)).await;
        self.facts.error("state: stale etag conflicts", conflict, "code: Aborted")?;
        let mut delete = DeleteStateRequest {
            store_name: STORE.to_owned(),
            key: "tagged".to_owned(),
            etag: Some(Etag { value: stale }),
            ..Default::default()
        };
        let conflict = self.generated.delete_state(delete.clone()).await;
        self.facts.error("state: delete with a stale etag conflicts", conflict, "code: Aborted")?;
        let read = self.get("tagged").await?;
        self.facts.equal("state: a conflict leaves the value", read.data, b"two")?;
        delete.etag = Some(Etag { value: read.etag });
        self.generated.delete_state(delete).await?;
        let read = self.get("tagged").await?;
        self.facts.equal("state: right etag deletes", read.data, b"")
    }

    async fn first_write(&mut self) -> Result<(), Wrong> {
        let first = StateOptions { concurrency: StateConcurrency::ConcurrencyFirstWrite.into(), ..Default::default() };
        self.dapr.save_state(STORE, "first", b"one".to_vec(), None, None, Some(first)).await?;
        let conflict = self.dapr.save_state(STORE, "first", b"two".to_vec(), None, None, Some(first)).await;
        self.facts.error("state: first write wins", conflict, "code: Aborted")
    }

    async fn many(&mut self) -> Result<(), Wrong> {
        self.dapr.save_bulk_states(STORE, vec![item("bulk-1", "one"), item("bulk-2", "two")]).await?;
        let read = self.get_all(&["bulk-1", "bulk-2", "bulk-3"]).await?;
        self.facts.equal("state: bulk save and bulk get", read, ["one", "two", ""])?;
        self.transact(vec![("upsert", item("bulk-3", "three")), ("delete", item("bulk-1", ""))]).await?;
        let read = self.get_all(&["bulk-1", "bulk-3"]).await?;
        self.facts.equal("state: transaction upserts and deletes", read, ["", "three"])?;
        let stale = StateItem { etag: Some(Etag { value: "stale".to_owned() }), ..item("bulk-3", "changed") };
        let failed = self.transact(vec![("upsert", item("bulk-2", "changed")), ("upsert", stale)]).await;
        self.facts.error("state: transaction with a stale etag fails", failed, "")?;
        let read = self.get_all(&["bulk-2", "bulk-3"]).await?;
        self.facts.equal("state: a failed transaction changes nothing", read, ["two", "three"])?;
        self.dapr.delete_bulk_state(STORE, [("bulk-2", Vec::new()), ("bulk-3", Vec::new())]).await?;
        let read = self.get_all(&["bulk-2", "bulk-3"]).await?;
        self.facts.equal("state: bulk delete", read, ["", ""])
    }

    async fn transact(&mut self, operations: Vec<(&str, StateItem)>) -> Result<(), tonic::Status> {
        let operations = operations
            .into_iter()
            .map(|(kind, item)| TransactionalStateOperation { operation_type: kind.to_owned(), request: Some(item) })
            .collect();
        let request = ExecuteStateTransactionRequest { store_name: STORE.to_owned(), operations, ..Default::default() };
        self.generated.execute_state_transaction(request).await?;
        Ok(())
    }

    /// The values of `keys`, in their order; empty without one.
    async fn get_all(&mut self, keys: &[&str]) -> Result<Vec<String>, Wrong> {
        let request = GetBulkStateRequest {
            store_name: STORE.to_owned(),
            keys: keys.iter().map(|&key| key.to_owned()).collect(),
            parallelism: 2,
            ..Default::default()
        };
        let items = self.generated.get_bulk_state(request).await?.into_inner().items;
        let mut values: HashMap<String, Vec<u8>> = items.into_iter().map(|item| (item.key, item.data)).collect();
        keys.iter().map(|&key| Ok(String::from_utf8(values.remove(key).unwrap_or_default())?)).collect()
    }

    async fn time_to_live(&mut self) -> Result<(), Wrong> {
        let metadata = HashMap::from([("ttlInSeconds".to_owned(), "1".to_owned())]);
        self.dapr.save_state(STORE, "short", b"lived".to_vec(), None, Some(metadata), None).await?;
        let read = self.get("short").await?;
        self.facts.equal("state: a value with a ttl is there", read.data, b"lived")?;
        wait_for("end of a value", async || {
            let read = self.dapr.get_state(STORE, "short", None).await?;
            Ok::<_, dapr::error::Error>(read.data.is_empty().then_some(()))
        })
        .await?;
        self.facts.holds("state: a ttl ends a value", true, ())
    }
}

fn item(key: &str, value: &str) -> StateItem {
    StateItem { key: key.to_owned(), value: value.as_bytes().to_vec(), ..Default::default() }
}
