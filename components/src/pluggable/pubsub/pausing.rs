//! `Pause` and `Resume`: they concern a component as a whole, while subscriptions close one by one.

use std::time::Duration;

use proto_dapr::components::pub_sub_client::PubSubClient;
use proto_dapr::components::{PauseRequest, ResumeRequest};
use tokio::sync::Mutex;
use tonic::Code;

use super::super::socket::Connection;
use super::super::status::error;

/// The time that either call may take, as in daprd: a component that hangs must not hold up a shutdown.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pauses the component while subscriptions close and resumes it for those that go on.
pub(super) struct Pausing {
    client: PubSubClient<Connection>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Subscriptions that take messages.
    active: usize,
    /// Subscriptions on their way out.
    closing: usize,
    paused: bool,
}

impl Pausing {
    pub(super) fn new(client: PubSubClient<Connection>) -> Self {
        Self { client, state: Mutex::default() }
    }

    /// A subscription is about to begin.
    pub(super) async fn opened(&self) {
        let mut state = self.state.lock().await;
        state.active += 1;
        if state.closing == 0 {
            self.resume(&mut state).await;
        }
    }

    /// A subscription did not come about.
    pub(super) async fn failed(&self) {
        self.state.lock().await.active -= 1;
    }

    /// A subscription begins to close; tells whether the component has stopped sending.
    pub(super) async fn closing(&self) -> bool {
        let mut state = self.state.lock().await;
        state.active -= 1;
        state.closing += 1;
        if !state.paused {
            state.paused = self.pause().await;
        }
        state.paused
    }

    /// A subscription has closed.
    pub(super) async fn closed(&self) {
        let mut state = self.state.lock().await;
        state.closing -= 1;
        if state.closing == 0 && state.active > 0 {
            self.resume(&mut state).await;
        }
    }

    async fn pause(&self) -> bool {
        let mut client = self.client.clone();
        match tokio::time::timeout(PATIENCE, client.pause(PauseRequest {})).await {
            Ok(Ok(_)) => true,
            // Most components know no pause: their subscriptions just stop reading.
            Ok(Err(status)) if status.code() == Code::Unimplemented => false,
            Ok(Err(status)) => {
                tracing::warn!("failed to pause a pluggable pubsub: {}", error(status));
                false
            }
            Err(_) => {
                tracing::warn!("failed to pause a pluggable pubsub: no answer within {} s", PATIENCE.as_secs());
                false
            }
        }
    }

    async fn resume(&self, state: &mut State) {
        if !state.paused {
            return;
        }
        state.paused = false;
        let mut client = self.client.clone();
        match tokio::time::timeout(PATIENCE, client.resume(ResumeRequest {})).await {
            Ok(Ok(_)) => (),
            Ok(Err(status)) => tracing::warn!("failed to resume a pluggable pubsub: {}", error(status)),
            Err(_) => tracing::warn!("failed to resume a pluggable pubsub: no answer within {} s", PATIENCE.as_secs()),
        }
    }
}
