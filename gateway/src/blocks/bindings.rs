//! Output bindings: calls to outside systems by name (as daprd 1.18, bindings API).

use std::time::Instant;

use components::bindings::{InvokeReply, InvokeRequest};
use components::{Error, Metadata};

use super::Shared;
use crate::error::{ApiError, nested, table};
use crate::operation::{CallContext, Handle, Operation};
use crate::resiliency::ComponentType;
use crate::telemetry::metrics::ComponentCall;

pub struct InvokeBinding {
    pub name: String,
    pub operation: String,
    pub data: bytes::Bytes,
    pub metadata: Metadata,
}

impl Operation for InvokeBinding {
    type Reply = Option<InvokeReply>;
    type Block = BindingsBlock;
    const NAME: &'static str = "InvokeBinding";
}

#[derive(Clone)]
pub struct BindingsBlock {
    shared: Shared,
}

impl BindingsBlock {
    pub fn new(shared: Shared) -> Self {
        Self { shared }
    }

    async fn invoke(&self, call: InvokeBinding) -> Result<Option<InvokeReply>, ApiError> {
        let InvokeBinding { name, operation, data, metadata } = call;
        let failed = |error: &str| table::absent::output_binding(&name, error);
        if operation.is_empty() {
            return Err(failed("operation field is missing from request"));
        }
        let binding = self.shared.loaded.current().bindings.get(name.as_str()).cloned();
        let Some(output) = binding.as_ref().and_then(|binding| binding.output.clone()) else {
            return Err(failed(&format!("couldn't find output binding {name}")));
        };
        let known = output.operations();
        if !known.contains(&operation) {
            let known = known.join(" ");
            return Err(failed(&format!(
                "binding {name} does not support operation {operation}. supported operations:{known}"
            )));
        }
        let request = InvokeRequest { operation, data, metadata };
        let policy = self.shared.policies.load().component_outbound(&name, ComponentType::Binding);
        let outcome = policy.run(|| output.invoke(request.clone())).await;
        outcome.map_err(|error| failed(&nested(&error.into_operation(Error::other))))
    }
}

impl Handle<InvokeBinding> for BindingsBlock {
    async fn handle(&self, _context: &CallContext, call: InvokeBinding) -> Result<Option<InvokeReply>, ApiError> {
        let started = Instant::now();
        let (name, operation) = (call.name.clone(), call.operation.clone());
        let outcome = self.invoke(call).await;
        // As daprd counts: also calls of bindings and operations that there are not.
        self.shared.metrics.output_binding(&ComponentCall {
            component: &name,
            operation: &operation,
            success: outcome.is_ok(),
            elapsed: started.elapsed(),
        });
        outcome
    }
}
