//! Every operation once: its API group, its HTTP routes and its gRPC methods.
//!
//! API allow and deny lists, API logging, metric labels, the HTTP router, the gRPC service and conformance's coverage
//! all read this table. Names and groups are those of daprd 1.18 (`pkg/api/http`, `pkg/api/grpc/endpoints.go`); the
//! rows behind them are Dapr 1.19's published additions.

use std::collections::BTreeSet;

use crate::config::configuration::ApiSpec;
use crate::config::configuration::api::{Protocol, rules_for};

/// Which operations one front serves: the API allow and deny lists of the Configuration.
#[derive(Debug, Clone, Default)]
pub struct Access {
    allowed: BTreeSet<String>,
    denied: BTreeSet<String>,
}

impl Access {
    pub fn new(spec: &ApiSpec, protocol: Protocol) -> Self {
        Self { allowed: rules_for(&spec.allowed, protocol), denied: rules_for(&spec.denied, protocol) }
    }

    /// Whether an HTTP route is served. `path` is version and route: rules of old name a prefix of it.
    pub fn allows_http(&self, route: &HttpRoute, group: &str) -> bool {
        let rule = format!("{}/{group}", route.version.rule());
        let path = format!("{}/{}", route.version.path(), route.path);
        let named = |rules: &BTreeSet<String>| {
            rules.contains(&rule) || rules.iter().any(|prefix| path.starts_with(prefix.as_str()))
        };
        !named(&self.denied) && (self.allowed.is_empty() || named(&self.allowed))
    }

    /// Whether a method of [`SERVICE`] is served.
    pub fn allows_grpc(&self, method: &str) -> bool {
        if self.allowed.is_empty() && self.denied.is_empty() {
            return true;
        }
        let rule = by_grpc_method(method).map(|(row, version)| format!("{version}/{}", row.group));
        let named = |rules: &BTreeSet<String>| rule.as_ref().is_some_and(|rule| rules.contains(rule));
        !named(&self.denied) && (self.allowed.is_empty() || named(&self.allowed))
    }
}

/// The version part of an HTTP route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    V1,
    V1Alpha1,
    V1Alpha2,
    V1Beta1,
}

impl Version {
    /// As it stands in a path.
    pub fn path(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::V1Alpha1 => "v1.0-alpha1",
            Self::V1Alpha2 => "v1.0-alpha2",
            Self::V1Beta1 => "v1.0-beta1",
        }
    }

    /// As it stands in an API access rule.
    pub fn rule(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Alpha1 => "v1alpha1",
            Self::V1Alpha2 => "v1alpha2",
            Self::V1Beta1 => "v1beta1",
        }
    }
}

/// One route below its version. `{name}` matches one segment, a final `*` the rest (at least one segment).
#[derive(Debug, Clone, Copy)]
pub struct HttpRoute {
    pub version: Version,
    /// Empty: any method.
    pub methods: &'static [&'static str],
    pub path: &'static str,
}

/// One operation on both wires.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name that obfuscated API logs show.
    pub operation: &'static str,
    /// The name in API access rules.
    pub group: &'static str,
    pub http: &'static [HttpRoute],
    /// Methods of `dapr.proto.runtime.v1.Dapr`, each with the version of its access rule.
    pub grpc: &'static [(&'static str, &'static str)],
}

/// The gRPC service of the API.
pub const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";

/// The row that serves a gRPC method, with the version of its access rule.
pub fn by_grpc_method(method: &str) -> Option<(&'static Row, &'static str)> {
    ROWS.iter().find_map(|row| row.grpc.iter().find(|(name, _)| *name == method).map(|(_, version)| (row, *version)))
}

/// The methods of [`SERVICE`] that are streams in one direction or both.
const STREAMS: &[&str] = &[
    "DecryptAlpha1",
    "EncryptAlpha1",
    "GetBinaryFileAlpha1",
    "SetBinaryFileAlpha1",
    "SubscribeActorEventsAlpha1",
    "SubscribeConfiguration",
    "SubscribeConfigurationAlpha1",
    "SubscribeTopicEventsAlpha1",
];

/// Whether a path is that of a method of [`SERVICE`] with one message each way.
pub fn is_unary_grpc_path(path: &str) -> bool {
    let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE)?.strip_prefix('/'));
    method.is_some_and(|method| !STREAMS.contains(&method) && by_grpc_method(method).is_some())
}

/// All operations.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    Row { operation: "GetState", group: "state", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "state/{store}/{key}" }], grpc: &[("GetState", "v1")] },
    Row { operation: "SaveState", group: "state", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "state/{store}" }], grpc: &[("SaveState", "v1")] },
    Row { operation: "DeleteState", group: "state", http: &[HttpRoute { version: Version::V1, methods: &["DELETE"], path: "state/{store}/{key}" }], grpc: &[("DeleteState", "v1")] },
    Row { operation: "GetBulkState", group: "state", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "state/{store}/bulk" }], grpc: &[("GetBulkState", "v1")] },
    Row { operation: "DeleteBulkState", group: "state", http: &[], grpc: &[("DeleteBulkState", "v1")] },
    Row { operation: "ExecuteStateTransaction", group: "state", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "state/{store}/transaction" }], grpc: &[("ExecuteStateTransaction", "v1")] },
    Row { operation: "QueryStateAlpha1", group: "state", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST", "PUT"], path: "state/{store}/query" }], grpc: &[("QueryStateAlpha1", "v1alpha1")] },
    Row { operation: "PublishEvent", group: "publish", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "publish/{pubsub}/*" }], grpc: &[("PublishEvent", "v1")] },
    Row { operation: "BulkPublishEvent", group: "publish", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "publish/bulk/{pubsub}/*" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST", "PUT"], path: "publish/bulk/{pubsub}/*" }], grpc: &[("BulkPublishEvent", "v1"), ("BulkPublishEventAlpha1", "v1alpha1")] },
    Row { operation: "SubscribeTopicEvents", group: "subscribe", http: &[], grpc: &[("SubscribeTopicEventsAlpha1", "v1alpha1")] },
    Row { operation: "InvokeService", group: "invoke", http: &[HttpRoute { version: Version::V1, methods: &[], path: "invoke/*" }], grpc: &[("InvokeService", "v1")] },
    Row { operation: "InvokeBinding", group: "bindings", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "bindings/{name}" }], grpc: &[("InvokeBinding", "v1")] },
    Row { operation: "GetSecret", group: "secrets", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "secrets/{store}/{key}" }], grpc: &[("GetSecret", "v1")] },
    Row { operation: "GetBulkSecret", group: "secrets", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "secrets/{store}/bulk" }], grpc: &[("GetBulkSecret", "v1")] },
    Row { operation: "GetMetadata", group: "metadata", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "metadata" }], grpc: &[("GetMetadata", "v1")] },
    Row { operation: "PutMetadata", group: "metadata", http: &[HttpRoute { version: Version::V1, methods: &["PUT"], path: "metadata/{key}" }], grpc: &[("SetMetadata", "v1")] },
    Row { operation: "Healthz", group: "healthz", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "healthz" }], grpc: &[] },
    Row { operation: "HealthzOutbound", group: "healthz", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "healthz/outbound" }], grpc: &[] },
    Row { operation: "Shutdown", group: "shutdown", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "shutdown" }], grpc: &[("Shutdown", "v1")] },
    Row { operation: "GetConfiguration", group: "configuration", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "configuration/{store}" }, HttpRoute { version: Version::V1Alpha1, methods: &["GET"], path: "configuration/{store}" }], grpc: &[("GetConfiguration", "v1"), ("GetConfigurationAlpha1", "v1alpha1")] },
    Row { operation: "SubscribeConfiguration", group: "configuration", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "configuration/{store}/subscribe" }, HttpRoute { version: Version::V1Alpha1, methods: &["GET"], path: "configuration/{store}/subscribe" }], grpc: &[("SubscribeConfiguration", "v1"), ("SubscribeConfigurationAlpha1", "v1alpha1")] },
    Row { operation: "UnsubscribeConfiguration", group: "configuration", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "configuration/{store}/{id}/unsubscribe" }, HttpRoute { version: Version::V1Alpha1, methods: &["GET"], path: "configuration/{store}/{id}/unsubscribe" }], grpc: &[("UnsubscribeConfiguration", "v1"), ("UnsubscribeConfigurationAlpha1", "v1alpha1")] },
    Row { operation: "TryLock", group: "lock", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "lock/{store}" }], grpc: &[("TryLockAlpha1", "v1alpha1")] },
    Row { operation: "Unlock", group: "unlock", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "unlock/{store}" }], grpc: &[("UnlockAlpha1", "v1alpha1")] },
    Row { operation: "Encrypt", group: "crypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["PUT"], path: "crypto/{name}/encrypt" }], grpc: &[("EncryptAlpha1", "v1alpha1")] },
    Row { operation: "Decrypt", group: "crypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["PUT"], path: "crypto/{name}/decrypt" }], grpc: &[("DecryptAlpha1", "v1alpha1")] },
    Row { operation: "SubtleGetKey", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/getkey" }], grpc: &[("SubtleGetKeyAlpha1", "v1alpha1")] },
    Row { operation: "SubtleEncrypt", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/encrypt" }], grpc: &[("SubtleEncryptAlpha1", "v1alpha1")] },
    Row { operation: "SubtleDecrypt", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/decrypt" }], grpc: &[("SubtleDecryptAlpha1", "v1alpha1")] },
    Row { operation: "SubtleWrapKey", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/wrapkey" }], grpc: &[("SubtleWrapKeyAlpha1", "v1alpha1")] },
    Row { operation: "SubtleUnwrapKey", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/unwrapkey" }], grpc: &[("SubtleUnwrapKeyAlpha1", "v1alpha1")] },
    Row { operation: "SubtleSign", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/sign" }], grpc: &[("SubtleSignAlpha1", "v1alpha1")] },
    Row { operation: "SubtleVerify", group: "subtlecrypto", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "subtlecrypto/{name}/verify" }], grpc: &[("SubtleVerifyAlpha1", "v1alpha1")] },
    Row { operation: "InvokeActor", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["GET", "POST", "DELETE", "PUT"], path: "actors/{type}/{id}/method/{method}" }], grpc: &[("InvokeActor", "v1")] },
    Row { operation: "ExecuteActorStateTransaction", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "actors/{type}/{id}/state" }], grpc: &[("ExecuteActorStateTransaction", "v1")] },
    Row { operation: "GetActorState", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "actors/{type}/{id}/state/{key}" }], grpc: &[("GetActorState", "v1")] },
    Row { operation: "RegisterActorReminder", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "actors/{type}/{id}/reminders/{name}" }], grpc: &[("RegisterActorReminder", "v1")] },
    Row { operation: "UnregisterActorReminder", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["DELETE"], path: "actors/{type}/{id}/reminders/{name}" }], grpc: &[("UnregisterActorReminder", "v1")] },
    Row { operation: "GetActorReminder", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "actors/{type}/{id}/reminders/{name}" }], grpc: &[("GetActorReminder", "v1")] },
    Row { operation: "RegisterActorTimer", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["POST", "PUT"], path: "actors/{type}/{id}/timers/{name}" }], grpc: &[("RegisterActorTimer", "v1")] },
    Row { operation: "UnregisterActorTimer", group: "actors", http: &[HttpRoute { version: Version::V1, methods: &["DELETE"], path: "actors/{type}/{id}/timers/{name}" }], grpc: &[("UnregisterActorTimer", "v1")] },
    Row { operation: "UnregisterActorRemindersByType", group: "actors", http: &[], grpc: &[("UnregisterActorRemindersByType", "v1")] },
    Row { operation: "ListActorReminders", group: "actors", http: &[], grpc: &[("ListActorReminders", "v1")] },
    Row { operation: "GetActorTimer", group: "actors", http: &[], grpc: &[("GetActorTimer", "v1")] },
    Row { operation: "ListActorTimers", group: "actors", http: &[], grpc: &[("ListActorTimers", "v1")] },
    Row { operation: "SubscribeActorEvents", group: "actors", http: &[], grpc: &[("SubscribeActorEventsAlpha1", "v1alpha1")] },
    Row { operation: "GetWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "workflows/{component}/{instance}" }, HttpRoute { version: Version::V1Beta1, methods: &["GET"], path: "workflows/{component}/{instance}" }, HttpRoute { version: Version::V1Alpha1, methods: &["GET"], path: "workflows/{component}/{instance}" }], grpc: &[("GetWorkflowAlpha1", "v1alpha1"), ("GetWorkflowBeta1", "v1beta1")] },
    Row { operation: "StartWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{workflow}/start" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{workflow}/start" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{workflow}/start" }], grpc: &[("StartWorkflowAlpha1", "v1alpha1"), ("StartWorkflowBeta1", "v1beta1")] },
    Row { operation: "RaiseEventWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{instance}/raiseEvent/{event}" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{instance}/raiseEvent/{event}" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{instance}/raiseEvent/{event}" }], grpc: &[("RaiseEventWorkflowAlpha1", "v1alpha1"), ("RaiseEventWorkflowBeta1", "v1beta1")] },
    Row { operation: "PauseWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{instance}/pause" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{instance}/pause" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{instance}/pause" }], grpc: &[("PauseWorkflowAlpha1", "v1alpha1"), ("PauseWorkflowBeta1", "v1beta1")] },
    Row { operation: "ResumeWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{instance}/resume" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{instance}/resume" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{instance}/resume" }], grpc: &[("ResumeWorkflowAlpha1", "v1alpha1"), ("ResumeWorkflowBeta1", "v1beta1")] },
    Row { operation: "TerminateWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{instance}/terminate" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{instance}/terminate" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{instance}/terminate" }], grpc: &[("TerminateWorkflowAlpha1", "v1alpha1"), ("TerminateWorkflowBeta1", "v1beta1")] },
    Row { operation: "PurgeWorkflow", group: "workflows", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "workflows/{component}/{instance}/purge" }, HttpRoute { version: Version::V1Beta1, methods: &["POST"], path: "workflows/{component}/{instance}/purge" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "workflows/{component}/{instance}/purge" }], grpc: &[("PurgeWorkflowAlpha1", "v1alpha1"), ("PurgeWorkflowBeta1", "v1beta1")] },
    Row { operation: "ScheduleJob", group: "jobs", http: &[HttpRoute { version: Version::V1, methods: &["POST"], path: "jobs/{name}" }, HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "jobs/{name}" }], grpc: &[("ScheduleJob", "v1"), ("ScheduleJobAlpha1", "v1alpha1")] },
    Row { operation: "GetJob", group: "jobs", http: &[HttpRoute { version: Version::V1, methods: &["GET"], path: "jobs/{name}" }, HttpRoute { version: Version::V1Alpha1, methods: &["GET"], path: "jobs/{name}" }], grpc: &[("GetJob", "v1"), ("GetJobAlpha1", "v1alpha1")] },
    Row { operation: "DeleteJob", group: "jobs", http: &[HttpRoute { version: Version::V1, methods: &["DELETE"], path: "jobs/{name}" }, HttpRoute { version: Version::V1Alpha1, methods: &["DELETE"], path: "jobs/{name}" }], grpc: &[("DeleteJob", "v1"), ("DeleteJobAlpha1", "v1alpha1")] },
    Row { operation: "ListJobs", group: "jobs", http: &[], grpc: &[("ListJobs", "v1"), ("ListJobsAlpha1", "v1alpha1")] },
    Row { operation: "DeleteJobsByPrefix", group: "jobs", http: &[], grpc: &[("DeleteJobsByPrefix", "v1"), ("DeleteJobsByPrefixAlpha1", "v1alpha1")] },
    Row { operation: "Converse", group: "conversation", http: &[HttpRoute { version: Version::V1Alpha1, methods: &["POST"], path: "conversation/{name}/converse" }], grpc: &[("ConverseAlpha1", "v1alpha1")] },
    Row { operation: "ConverseAlpha2", group: "conversation", http: &[HttpRoute { version: Version::V1Alpha2, methods: &["POST"], path: "conversation/{name}/converse" }], grpc: &[("ConverseAlpha2", "v1alpha2")] },
    Row { operation: "CreateIndex", group: "search", http: &[], grpc: &[("CreateIndexAlpha1", "v1alpha1")] },
    Row { operation: "GetIndex", group: "search", http: &[], grpc: &[("GetIndexAlpha1", "v1alpha1")] },
    Row { operation: "ListIndexes", group: "search", http: &[], grpc: &[("ListIndexesAlpha1", "v1alpha1")] },
    Row { operation: "DeleteIndex", group: "search", http: &[], grpc: &[("DeleteIndexAlpha1", "v1alpha1")] },
    Row { operation: "IndexDocuments", group: "search", http: &[], grpc: &[("IndexDocumentsAlpha1", "v1alpha1")] },
    Row { operation: "GetDocuments", group: "search", http: &[], grpc: &[("GetDocumentsAlpha1", "v1alpha1")] },
    Row { operation: "DeleteDocuments", group: "search", http: &[], grpc: &[("DeleteDocumentsAlpha1", "v1alpha1")] },
    Row { operation: "Search", group: "search", http: &[], grpc: &[("SearchAlpha1", "v1alpha1")] },
    Row { operation: "CreateCollection", group: "vector", http: &[], grpc: &[("CreateCollectionAlpha1", "v1alpha1")] },
    Row { operation: "GetCollection", group: "vector", http: &[], grpc: &[("GetCollectionAlpha1", "v1alpha1")] },
    Row { operation: "ListCollections", group: "vector", http: &[], grpc: &[("ListCollectionsAlpha1", "v1alpha1")] },
    Row { operation: "DeleteCollection", group: "vector", http: &[], grpc: &[("DeleteCollectionAlpha1", "v1alpha1")] },
    Row { operation: "UpsertVectors", group: "vector", http: &[], grpc: &[("UpsertVectorsAlpha1", "v1alpha1")] },
    Row { operation: "DeleteVectors", group: "vector", http: &[], grpc: &[("DeleteVectorsAlpha1", "v1alpha1")] },
    Row { operation: "GetVectors", group: "vector", http: &[], grpc: &[("GetVectorsAlpha1", "v1alpha1")] },
    Row { operation: "QueryVectors", group: "vector", http: &[], grpc: &[("QueryVectorsAlpha1", "v1alpha1")] },
    Row { operation: "BatchQueryVectors", group: "vector", http: &[], grpc: &[("BatchQueryVectorsAlpha1", "v1alpha1")] },
    Row { operation: "SetBinaryFile", group: "binarystore", http: &[], grpc: &[("SetBinaryFileAlpha1", "v1alpha1")] },
    Row { operation: "GetBinaryFile", group: "binarystore", http: &[], grpc: &[("GetBinaryFileAlpha1", "v1alpha1")] },
    Row { operation: "DeleteBinaryFile", group: "binarystore", http: &[], grpc: &[("DeleteBinaryFileAlpha1", "v1alpha1")] },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_and_method_stands_once() {
        let mut methods = HashSet::new();
        let mut routes = HashSet::new();
        for row in ROWS {
            for (method, _) in row.grpc {
                assert!(methods.insert(method), "{method} twice");
            }
            for route in row.http {
                for method in route.methods {
                    assert!(routes.insert((route.version, method, route.path)), "{} twice", route.path);
                }
            }
        }
        assert_eq!(methods.len(), 94);
    }
}
