//! Kinds of resources that daprd 1.18 knows and this build does not serve: they are found, and said to be without effect.

use serde::Deserialize;

use super::meta::{Metadata, Resource};

macro_rules! unserved {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(default)]
        pub struct $name {
            pub metadata: Metadata,
            pub scopes: Vec<String>,
        }

        impl Resource for $name {
            const API_VERSION: &'static str = "dapr.io/v1alpha1";
            const KIND: &'static str = $kind;

            fn metadata(&self) -> &Metadata {
                &self.metadata
            }

            fn scopes(&self) -> &[String] {
                &self.scopes
            }

            fn log_name(&self) -> String {
                self.metadata.name.clone()
            }
        }
    )*};
}

unserved! {
    /// A server of the Model Context Protocol, called through workflows.
    McpServer = "MCPServer";
    /// Who may start which workflow.
    WorkflowAccessPolicy = "WorkflowAccessPolicy";
}
