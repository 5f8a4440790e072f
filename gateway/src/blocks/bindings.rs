//! Output bindings: calls to outside systems by name (as daprd 1.18, bindings API).

use components::Metadata;
use components::bindings::{InvokeReply, InvokeRequest};

use super::{Attempt, Shared};
use crate::error::{ApiError, nested, table};
use crate::operation::{CallContext, Handle, Operation};
use crate::resiliency::ComponentType;

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
}

impl Handle<InvokeBinding> for BindingsBlock {
    async fn handle(&self, _context: &CallContext, call: InvokeBinding) -> Result<Option<InvokeReply>, ApiError> {
        let InvokeBinding { name, operation, data, metadata } = call;
        let failed = |error: &str| table::absent::output_binding(&name, error);
        if operation.is_empty() {
            return Err(failed("operation field is missing from request"));
        }
        let binding = self.shared.loaded.current().bindings.get(&name).cloned();
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
        Attempt::outbound(&self.shared, ComponentType::Binding, &name, "invoke")
            .run(|| output.invoke(request.clone()))
            .await
            .map_err(|error| failed(&nested(&error)))
    }
}
