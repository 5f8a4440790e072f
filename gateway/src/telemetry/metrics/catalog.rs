//! Every measure once: name, kind, labels, help.

use Kind::{Counter, Fixed, Gauge, Latency};

/// What a measure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Counter,
    /// The last value set.
    Gauge,
    /// A histogram of milliseconds, with the configured buckets.
    Latency,
    /// A histogram with these upper bounds.
    Fixed(&'static [f64]),
}

/// Upper bounds of sizes in bytes, as daprd 1.18 has them.
const SIZES: Kind = Fixed(&[
    1024.0,
    2048.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
]);

/// A measure as it is known outside.
#[derive(Debug)]
pub struct Definition {
    /// daprd's internal name, which rules refer to.
    pub measure: &'static str,
    /// The name on the page.
    pub name: &'static str,
    pub kind: Kind,
    /// In alphabetical order, as on the page.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($id:ident $measure:literal $name:literal $kind:ident [$($label:literal)*] $help:literal;)*) => {
        /// A measure, by place in the catalogue: alphabetical by its name on the page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Measure { $($id),* }

        impl Measure {
            pub const ALL: &'static [Self] = &[$(Self::$id),*];
        }

        const DEFINITIONS: &[Definition] = &[$(
            Definition { measure: $measure, name: $name, kind: $kind, labels: &[$($label),*], help: $help }
        ),*];
    };
}

impl Measure {
    pub fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }
}

#[rustfmt::skip]
catalogue! {
    ConfigurationCount "component/configuration/count" "dapr_component_configuration_count" Counter
        ["app_id" "component" "namespace" "operation" "success"] "Calls of a configuration store.";
    ConfigurationLatency "component/configuration/latencies" "dapr_component_configuration_latencies" Latency
        ["app_id" "component" "namespace" "operation" "success"] "Time of a call of a configuration store, in milliseconds.";
    ConversationCount "component/conversation/count" "dapr_component_conversation_count" Counter
        ["app_id" "component" "namespace" "success"] "Calls of a conversation component.";
    ConversationLatency "component/conversation/latencies" "dapr_component_conversation_latencies" Latency
        ["app_id" "component" "namespace" "success"] "Time of a call of a conversation component, in milliseconds.";
    CryptoCount "component/crypto/count" "dapr_component_crypto_count" Counter
        ["app_id" "component" "namespace" "operation" "success"] "Calls of a cryptography component.";
    CryptoLatency "component/crypto/latencies" "dapr_component_crypto_latencies" Latency
        ["app_id" "component" "namespace" "operation" "success"] "Time of a call of a cryptography component, in milliseconds.";
    InputBindingCount "component/input_binding/count" "dapr_component_input_binding_count" Counter
        ["app_id" "component" "namespace" "success"] "Events received from an input binding.";
    InputBindingLatency "component/input_binding/latencies" "dapr_component_input_binding_latencies" Latency
        ["app_id" "component" "namespace" "success"] "Time that the app took for an event, in milliseconds.";
    JobFailureCount "component/job/failure_count" "dapr_component_job_failure_count" Counter
        ["app_id" "namespace" "operation"] "Jobs that the app did not take.";
    JobLatency "component/job/latencies" "dapr_component_job_latencies" Latency
        ["app_id" "namespace" "operation" "success"] "Time that the app took for a job, in milliseconds.";
    JobSuccessCount "component/job/success_count" "dapr_component_job_success_count" Counter
        ["app_id" "namespace" "operation"] "Jobs that the app took.";
    OutputBindingCount "component/output_binding/count" "dapr_component_output_binding_count" Counter
        ["app_id" "component" "namespace" "operation" "success"] "Calls of an output binding.";
    OutputBindingLatency "component/output_binding/latencies" "dapr_component_output_binding_latencies" Latency
        ["app_id" "component" "namespace" "operation" "success"] "Time of a call of an output binding, in milliseconds.";
    BulkEgressCount "component/pubsub_egress/bulk/count" "dapr_component_pubsub_egress_bulk_count" Counter
        ["app_id" "component" "namespace" "success" "topic"] "Bulk publications.";
    BulkEgressLatency "component/pubsub_egress/bulk/latencies" "dapr_component_pubsub_egress_bulk_latencies" Latency
        ["app_id" "component" "namespace" "success" "topic"] "Time that the broker took for a bulk publication, in milliseconds.";
    PubsubEgressCount "component/pubsub_egress/count" "dapr_component_pubsub_egress_count" Counter
        ["app_id" "component" "namespace" "success" "topic"] "Messages published to a broker.";
    PubsubEgressLatency "component/pubsub_egress/latencies" "dapr_component_pubsub_egress_latencies" Latency
        ["app_id" "component" "namespace" "success" "topic"] "Time that the broker took for a message, in milliseconds.";
    BulkIngressCount "component/pubsub_ingress/bulk/count" "dapr_component_pubsub_ingress_bulk_count" Counter
        ["app_id" "component" "namespace" "process_status" "topic"] "Bulk deliveries received from a broker.";
    BulkIngressEventCount "component/pubsub_ingress/bulk/event_count" "dapr_component_pubsub_ingress_bulk_event_count" Counter
        ["app_id" "component" "namespace" "process_status" "topic"] "Bulk deliveries that had messages with this outcome.";
    BulkIngressLatency "component/pubsub_ingress/bulk/latencies" "dapr_component_pubsub_ingress_bulk_latencies" Latency
        ["app_id" "component" "namespace" "process_status" "topic"] "Time that the app took for a bulk delivery, in milliseconds.";
    PubsubIngressCount "component/pubsub_ingress/count" "dapr_component_pubsub_ingress_count" Counter
        ["app_id" "component" "namespace" "process_status" "status" "topic"] "Messages received from a broker.";
    PubsubIngressLatency "component/pubsub_ingress/latencies" "dapr_component_pubsub_ingress_latencies" Latency
        ["app_id" "component" "namespace" "process_status" "status" "topic"] "Time that the app took for a message, in milliseconds.";
    SecretCount "component/secret/count" "dapr_component_secret_count" Counter
        ["app_id" "component" "namespace" "operation" "success"] "Calls of a secret store.";
    SecretLatency "component/secret/latencies" "dapr_component_secret_latencies" Latency
        ["app_id" "component" "namespace" "operation" "success"] "Time of a call of a secret store, in milliseconds.";
    StateCount "component/state/count" "dapr_component_state_count" Counter
        ["app_id" "component" "namespace" "operation" "success"] "Calls of a state store.";
    StateLatency "component/state/latencies" "dapr_component_state_latencies" Latency
        ["app_id" "component" "namespace" "operation" "success"] "Time of a call of a state store, in milliseconds.";
    ErrorCode "error_code/total" "dapr_error_code_total" Counter
        ["app_id" "category" "error_code"] "Errors answered, by code.";
    GrpcClientCompleted "grpc.io/client/completed_rpcs" "dapr_grpc_io_client_completed_rpcs" Counter
        ["app_id" "grpc_client_method" "grpc_client_status"] "Calls made by the sidecar, by method and status.";
    GrpcClientReceivedBytes "grpc.io/client/received_bytes_per_rpc" "dapr_grpc_io_client_received_bytes_per_rpc" SIZES
        ["app_id" "grpc_client_method"] "Size of the messages received in a call.";
    GrpcClientLatency "grpc.io/client/roundtrip_latency" "dapr_grpc_io_client_roundtrip_latency" Latency
        ["app_id" "grpc_client_method" "grpc_client_status"] "Time that a call made by the sidecar took, in milliseconds.";
    GrpcClientSentBytes "grpc.io/client/sent_bytes_per_rpc" "dapr_grpc_io_client_sent_bytes_per_rpc" SIZES
        ["app_id" "grpc_client_method"] "Size of the messages sent in a call.";
    GrpcHealthCount "grpc.io/healthprobes/completed_count" "dapr_grpc_io_healthprobes_completed_count" Counter
        ["app_id" "grpc_client_status"] "Health probes of the app.";
    GrpcHealthLatency "grpc.io/healthprobes/roundtrip_latency" "dapr_grpc_io_healthprobes_roundtrip_latency" Latency
        ["app_id" "grpc_client_status"] "Time of a health probe of the app, in milliseconds.";
    GrpcServerCompleted "grpc.io/server/completed_rpcs" "dapr_grpc_io_server_completed_rpcs" Counter
        ["app_id" "grpc_server_method" "grpc_server_status"] "Calls to the server, by method and status.";
    GrpcServerReceivedBytes "grpc.io/server/received_bytes_per_rpc" "dapr_grpc_io_server_received_bytes_per_rpc" SIZES
        ["app_id" "grpc_server_method"] "Size of the messages received in a call.";
    GrpcServerSentBytes "grpc.io/server/sent_bytes_per_rpc" "dapr_grpc_io_server_sent_bytes_per_rpc" SIZES
        ["app_id" "grpc_server_method"] "Size of the messages sent in a call.";
    GrpcServerLatency "grpc.io/server/server_latency" "dapr_grpc_io_server_server_latency" Latency
        ["app_id" "grpc_server_method" "grpc_server_status"] "Time that a call to the server took, in milliseconds.";
    HttpClientCompletedCount "http/client/completed_count" "dapr_http_client_completed_count" Counter
        ["app_id" "method" "path" "status"] "Requests to the app that came to an end.";
    HttpClientReceivedBytes "http/client/received_bytes" "dapr_http_client_received_bytes" SIZES
        ["app_id"] "Size of response bodies received from the app.";
    HttpClientLatency "http/client/roundtrip_latency" "dapr_http_client_roundtrip_latency" Latency
        ["app_id" "method" "path" "status"] "Time from a request to the app to its response, in milliseconds.";
    HttpClientSentBytes "http/client/sent_bytes" "dapr_http_client_sent_bytes" SIZES
        ["app_id" "method" "path" "status"] "Size of request bodies sent to the app.";
    HttpHealthCount "http/healthprobes/completed_count" "dapr_http_healthprobes_completed_count" Counter
        ["app_id" "status"] "Health probes of the app.";
    HttpHealthLatency "http/healthprobes/roundtrip_latency" "dapr_http_healthprobes_roundtrip_latency" Latency
        ["app_id" "status"] "Time of a health probe of the app, in milliseconds.";
    HttpServerLatency "http/server/latency" "dapr_http_server_latency" Latency
        ["app_id" "method" "path" "status"] "Time from a request to its response, in milliseconds.";
    HttpServerRequestBytes "http/server/request_bytes" "dapr_http_server_request_bytes" SIZES
        ["app_id"] "Size of request bodies that state their length.";
    HttpServerRequestCount "http/server/request_count" "dapr_http_server_request_count" Counter
        ["app_id" "method" "path" "status"] "Requests answered by the HTTP server.";
    HttpServerResponseBytes "http/server/response_bytes" "dapr_http_server_response_bytes" SIZES
        ["app_id"] "Size of response bodies.";
    HttpServerResponseCount "http/server/response_count" "dapr_http_server_response_count" Counter
        ["app_id" "method" "path" "status"] "Responses of the HTTP server.";
    ResiliencyActivations "resiliency/activations_total" "dapr_resiliency_activations_total" Counter
        ["app_id" "flow_direction" "name" "namespace" "policy" "status" "target"] "Times that a policy acted on a failure.";
    ResiliencyState "resiliency/cb_state" "dapr_resiliency_cb_state" Gauge
        ["app_id" "flow_direction" "name" "namespace" "policy" "status" "target"] "Whether a circuit breaker was in this state when last asked.";
    ResiliencyCount "resiliency/count" "dapr_resiliency_count" Counter
        ["app_id" "flow_direction" "name" "namespace" "policy" "status" "target"] "Times that a policy applied.";
    ResiliencyLoaded "resiliency/loaded" "dapr_resiliency_loaded" Counter
        ["app_id" "name" "namespace"] "Resiliency resources in force.";
    AclAppAllowed "runtime/acl/app_policy_action_allowed_total" "dapr_runtime_acl_app_policy_action_allowed_total" Counter
        ["app_id" "namespace" "trustDomain"] "Calls that the caller's own policy let through.";
    AclAppBlocked "runtime/acl/app_policy_action_blocked_total" "dapr_runtime_acl_app_policy_action_blocked_total" Counter
        ["app_id" "namespace" "trustDomain"] "Calls that the caller's own policy refused.";
    AclGlobalAllowed "runtime/acl/global_policy_action_allowed_total" "dapr_runtime_acl_global_policy_action_allowed_total" Counter
        ["app_id" "namespace" "trustDomain"] "Calls that the default action let through.";
    AclGlobalBlocked "runtime/acl/global_policy_action_blocked_total" "dapr_runtime_acl_global_policy_action_blocked_total" Counter
        ["app_id" "namespace" "trustDomain"] "Calls that the default action refused.";
    ComponentInitFailTotal "runtime/component/init_fail_total" "dapr_runtime_component_init_fail_total" Counter
        ["app_id" "component" "componentName" "reason"] "Components that could not be built.";
    ComponentInitTotal "runtime/component/init_total" "dapr_runtime_component_init_total" Counter
        ["app_id" "component"] "Components that were built.";
    ComponentLoaded "runtime/component/loaded" "dapr_runtime_component_loaded" Counter
        ["app_id"] "Components that were loaded.";
    MtlsInitFailTotal "runtime/mtls/init_fail_total" "dapr_runtime_mtls_init_fail_total" Counter
        ["app_id" "reason"] "Identities that could not be obtained.";
    MtlsInitTotal "runtime/mtls/init_total" "dapr_runtime_mtls_init_total" Counter
        ["app_id"] "Identities obtained.";
    MtlsRotatedFailTotal "runtime/mtls/workload_cert_rotated_fail_total" "dapr_runtime_mtls_workload_cert_rotated_fail_total" Counter
        ["app_id" "reason"] "Certificates that could not be renewed.";
    MtlsRotatedTotal "runtime/mtls/workload_cert_rotated_total" "dapr_runtime_mtls_workload_cert_rotated_total" Counter
        ["app_id"] "Certificates renewed.";
    InvokeRequestReceived "runtime/service_invocation/req_recv_total" "dapr_runtime_service_invocation_req_recv_total" Counter
        ["app_id" "src_app_id"] "Invocations received from other apps.";
    InvokeRequestSent "runtime/service_invocation/req_sent_total" "dapr_runtime_service_invocation_req_sent_total" Counter
        ["app_id" "dst_app_id" "type"] "Invocations sent to other apps.";
    InvokeResponseLatency "runtime/service_invocation/res_recv_latency_ms" "dapr_runtime_service_invocation_res_recv_latency_ms" Latency
        ["app_id" "src_app_id" "status"] "Time from an invocation to its answer, in milliseconds.";
    InvokeResponseReceived "runtime/service_invocation/res_recv_total" "dapr_runtime_service_invocation_res_recv_total" Counter
        ["app_id" "src_app_id" "status" "type"] "Answers received from other apps.";
    InvokeResponseSent "runtime/service_invocation/res_sent_total" "dapr_runtime_service_invocation_res_sent_total" Counter
        ["app_id" "dst_app_id" "status"] "Answers sent to other apps.";
    FunctionCount "ottavo/function/count" "ottavo_function_count" Counter
        ["app_id" "function" "outcome" "trigger"] "Calls of a function.";
    FunctionDenied "ottavo/function/denied_count" "ottavo_function_denied_count" Counter
        ["app_id" "function"] "Calls that a function made without a grant.";
    FunctionGuests "ottavo/function/guests" "ottavo_function_guests" Gauge
        ["app_id" "function"] "Guests of a function that are alive.";
    FunctionLatency "ottavo/function/latencies" "ottavo_function_latencies" Latency
        ["app_id" "function" "outcome" "trigger"] "Time of a call of a function, in milliseconds.";
    FunctionReloads "ottavo/function/reload_count" "ottavo_function_reload_count" Counter
        ["app_id" "function" "success"] "Modules that came for a function while it served.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_in_order() {
        assert!(DEFINITIONS.is_sorted_by(|a, b| a.name < b.name));
        for definition in DEFINITIONS {
            assert!(definition.labels.is_sorted(), "{}", definition.name);
            assert!(definition.labels.contains(&"app_id"), "{}", definition.name);
        }
    }

    #[test]
    fn page_names_follow_from_measures() {
        for definition in DEFINITIONS {
            let name: String =
                definition.measure.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let is_own = name.starts_with("ottavo_");
            assert_eq!(definition.name, if is_own { name } else { format!("dapr_{name}") });
        }
    }
}
