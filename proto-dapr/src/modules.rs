//! The generated code, in the module tree that its relative paths (`super::super::..`) expect.

/// Includes the generated code of one protobuf package.
macro_rules! package {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
    };
}

/// Packages below `dapr`.
pub mod dapr {
    /// Packages below `dapr.proto`.
    pub mod proto {
        /// Types which several Dapr packages use.
        pub mod common {
            /// Package `dapr.proto.common.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.common.v1");
            }
        }
        /// Pluggable components.
        pub mod components {
            /// Package `dapr.proto.components.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.components.v1");
            }
        }
        /// What sidecars say to each other.
        pub mod internals {
            /// Package `dapr.proto.internals.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.internals.v1");
            }
        }
        /// The service which hands Kubernetes resources to sidecars.
        pub mod operator {
            /// Package `dapr.proto.operator.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.operator.v1");
            }
        }
        /// The service which says where actors live.
        pub mod placement {
            /// Package `dapr.proto.placement.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.placement.v1");
            }
        }
        /// The API between an app and its sidecar.
        pub mod runtime {
            /// Package `dapr.proto.runtime.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.runtime.v1");
            }
        }
        /// The service which keeps and triggers jobs and reminders.
        pub mod scheduler {
            /// Package `dapr.proto.scheduler.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.scheduler.v1");
            }
        }
        /// The certificate authority of a Dapr installation.
        pub mod sentry {
            /// Package `dapr.proto.sentry.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.sentry.v1");
            }
        }
        /// Inputs of workflows which the runtime starts by itself.
        pub mod workflows {
            /// Package `dapr.proto.workflows.v1`.
            #[allow(warnings, clippy::all)]
            pub mod v1 {
                package!("dapr.proto.workflows.v1");
            }
        }
    }
}

/// Durable Task: the workflow protocol. Its messages and `TaskHubSidecarService` have no protobuf package.
#[allow(warnings, clippy::all)]
pub mod durabletask {
    package!("_");

    pub use durabletask::protos::backend::v1 as backend;

    /// The packaged rest of Durable Task; [`backend`] is the short way to it.
    pub mod durabletask {
        /// Packages below `durabletask.protos`.
        pub mod protos {
            /// What a workflow engine stores and passes between its parts.
            pub mod backend {
                /// Package `durabletask.protos.backend.v1`.
                pub mod v1 {
                    package!("durabletask.protos.backend.v1");
                }
            }
        }
    }
}

/// Packages below `google`.
pub mod google {
    /// Package `google.rpc`: statuses and the details of errors.
    #[allow(warnings, clippy::all)]
    pub mod rpc {
        package!("google.rpc");
    }
}
