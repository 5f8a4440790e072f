//! Proves, as one application and its client, that the unmodified Rust SDK works with a sidecar.
//!
//! It reads what `dapr run` gives an application: `APP_ID`, `APP_PORT`, `DAPR_HTTP_PORT` and `DAPR_GRPC_PORT`. The SDK
//! has a server for applications over gRPC only (that over HTTP is for actors).
//!
//! What [`dapr::Client`] has no method for is called through the client that the SDK generates and exports.

mod app;
mod facts;
mod inbox;
mod invoke;
mod pubsub;
mod rest;
mod state;

use std::process::ExitCode;

use dapr::client::TonicClientWithAuth;
use dapr::dapr::proto::runtime::v1::dapr_client::DaprClient;
use tonic::transport::Channel;

use crate::facts::{Facts, Wrong};
use crate::inbox::Inbox;

/// All that a proof needs.
struct Program {
    facts: Facts,
    dapr: dapr::Client<TonicClientWithAuth>,
    generated: DaprClient<Channel>,
    channel: Channel,
    app_id: String,
    inbox: Inbox,
}

#[tokio::main]
async fn main() -> ExitCode {
    match prove().await {
        Ok(total) => {
            println!("all {total} facts hold");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("NOT PROVEN {wrong}");
            ExitCode::FAILURE
        }
    }
}

async fn prove() -> Result<usize, Wrong> {
    let inbox = Inbox::default();
    app::serve(std::env::var("APP_PORT")?.parse()?, inbox.clone()).await?;
    rest::ready(std::env::var("DAPR_HTTP_PORT")?.parse()?).await?;
    let channel =
        Channel::from_shared(format!("http://127.0.0.1:{}", std::env::var("DAPR_GRPC_PORT")?))?.connect().await?;
    let mut program = Program {
        facts: Facts::default(),
        dapr: dapr::Client::new().await?,
        generated: DaprClient::new(channel.clone()),
        channel,
        app_id: std::env::var("APP_ID")?,
        inbox,
    };
    program.metadata().await?;
    program.secrets().await?;
    program.state().await?;
    program.invoke().await?;
    program.pubsub().await?;
    program.shutdown().await?;
    Ok(program.facts.total())
}
