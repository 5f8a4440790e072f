//! Secrets, metadata, readiness and the end.

use std::collections::{BTreeSet, HashMap};

use dapr::dapr::proto::runtime::v1::ShutdownRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Program;
use crate::facts::{Wrong, wait_for};

/// Waits for a sidecar that has found this application; the SDK has no helper for it.
pub async fn ready(http_port: u16) -> Result<(), Wrong> {
    wait_for("sidecar that has found this application", async || {
        let answer = get(http_port, "/v1.0/healthz").await.unwrap_or_default();
        Ok::<_, Wrong>(answer.starts_with("HTTP/1.1 204").then_some(()))
    })
    .await
}

async fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

impl Program {
    pub async fn metadata(&mut self) -> Result<(), Wrong> {
        let metadata = self.dapr.get_metadata().await?;
        self.facts.equal("metadata: names the application", metadata.id, self.app_id.as_str())?;
        let components: BTreeSet<_> = metadata
            .registered_components
            .iter()
            .map(|component| format!("{} {}", component.name, component.r#type))
            .collect();
        let expected = ["pubsub pubsub.in-memory", "secretstore secretstores.local.file", "statestore state.in-memory"];
        self.facts.equal("metadata: lists the components", components, BTreeSet::from(expected.map(str::to_owned)))?;
        let topics: Vec<_> = metadata.subscriptions.iter().map(|subscription| subscription.topic.as_str()).collect();
        let listed = ["programmatic", "declared", "raw"].iter().all(|topic| topics.contains(topic));
        self.facts.holds("metadata: lists the subscriptions", listed, topics)?;
        self.dapr.set_metadata("programmed in", "Rust").await?;
        let metadata = self.dapr.get_metadata().await?.extended_metadata;
        let seen = metadata.get("programmed in").map(String::as_str);
        self.facts.equal("metadata: set is read back", seen, Some("Rust"))
    }

    pub async fn secrets(&mut self) -> Result<(), Wrong> {
        let secret = self.dapr.get_secret("secretstore", "greeting").await?.data;
        self.facts.equal("secrets: get", secret, one("greeting", "good evening"))?;
        let secret = self.dapr.get_secret("secretstore", "database:user").await?.data;
        self.facts.equal("secrets: a nested value has a path", secret, one("database:user", "ottavo"))?;
        let all = self.dapr.get_bulk_secret("secretstore", None).await?.data;
        let all: HashMap<_, _> = all.into_iter().map(|(name, secret)| (name, secret.secrets)).collect();
        let expected: HashMap<_, _> =
            [("greeting", "good evening"), ("database:user", "ottavo"), ("database:password", "not a real one")]
                .map(|(name, value)| (name.to_owned(), one(name, value)))
                .into();
        self.facts.equal("secrets: bulk get", all, expected)?;
        let missing = self.dapr.get_secret("secretstore", "nothing").await;
        self.facts.error("secrets: a missing secret is an error", missing, "code: Internal")
    }

    pub async fn shutdown(&mut self) -> Result<(), Wrong> {
        self.generated.shutdown(ShutdownRequest {}).await?;
        self.facts.holds("shutdown: is accepted", true, ())
    }
}

fn one(name: &str, value: &str) -> HashMap<String, String> {
    HashMap::from([(name.to_owned(), value.to_owned())])
}
