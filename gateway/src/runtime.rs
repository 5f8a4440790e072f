//! The runtime: owns the blocks; [`Runtime::call`] is the one door to them.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::blocks::Shared;
use crate::blocks::bindings::BindingsBlock;
use crate::blocks::invoke::InvokeBlock;
use crate::blocks::pubsub::PubSubBlock;
use crate::blocks::secrets::SecretsBlock;
use crate::blocks::sidecar::SidecarBlock;
use crate::blocks::state::StateBlock;
use crate::error::ApiError;
use crate::inbound::Inbound;
use crate::operation::{CallContext, Handle, Operation};

/// Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Blocks>);

/// The blocks, each of which answers its own operations.
pub struct Blocks {
    pub shared: Shared,
    pub state: StateBlock,
    pub secrets: SecretsBlock,
    pub pubsub: PubSubBlock,
    pub invoke: InvokeBlock,
    pub bindings: BindingsBlock,
    pub sidecar: SidecarBlock,
    /// What arrives from brokers.
    pub inbound: Inbound,
    /// Cancelled when the sidecar begins to close: long-lived streams end.
    pub closing: CancellationToken,
}

impl std::ops::Deref for Runtime {
    type Target = Blocks;

    fn deref(&self) -> &Blocks {
        &self.0
    }
}

/// Finds the block that owns an operation.
pub trait Provide<B> {
    fn block(&self) -> &B;
}

macro_rules! provide {
    ($($field:ident: $block:ty),* $(,)?) => {
        $(impl Provide<$block> for Runtime {
            fn block(&self) -> &$block {
                &self.0.$field
            }
        })*
    };
}

provide! {
    state: StateBlock,
    secrets: SecretsBlock,
    pubsub: PubSubBlock,
    invoke: InvokeBlock,
    sidecar: SidecarBlock,
    bindings: BindingsBlock,
}

impl Runtime {
    pub fn new(blocks: Blocks) -> Self {
        Self(Arc::new(blocks))
    }

    /// Answers one operation.
    pub async fn call<O>(&self, context: &CallContext, operation: O) -> Result<O::Reply, ApiError>
    where
        O: Operation,
        Self: Provide<O::Block>,
    {
        let block: &O::Block = self.block();
        block.handle(context, operation).await
    }

    /// Counts an error that a front is about to send (`dapr_error_code_total`).
    pub fn count_error(&self, error: &ApiError) {
        self.0.shared.metrics.error_code(error.counted_code(), error.category().as_str());
    }
}
