//! `spec.workflow`: limits of the workflow engine.

use serde::Deserialize;

use crate::config::duration::GoDuration;

/// Limits; `None` and values up to 0 mean none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WorkflowSpec {
    pub max_concurrent_workflow_invocations: i32,
    pub max_concurrent_activity_invocations: i32,
    /// Over all replicas, kept by the scheduler.
    pub global_max_concurrent_workflow_invocations: Option<i32>,
    pub global_max_concurrent_activity_invocations: Option<i32>,
    pub workflow_concurrency_limits: Vec<NamedLimit>,
    pub activity_concurrency_limits: Vec<NamedLimit>,
    pub state_retention_policy: Option<RetentionPolicy>,
}

/// A limit for one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NamedLimit {
    pub name: Option<String>,
    pub max_concurrent: Option<i32>,
}

/// How long finished workflows stay, by how they ended; the specific entry wins over `any_terminal`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RetentionPolicy {
    pub any_terminal: Option<GoDuration>,
    pub completed: Option<GoDuration>,
    pub failed: Option<GoDuration>,
    pub terminated: Option<GoDuration>,
}
