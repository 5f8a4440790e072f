//! Jobs API.

use super::*;

fn row(reason: &'static str, http: u16, grpc: Code, message: impl Into<String>) -> ApiError {
    ApiError::new(Category::Job, reason, http, grpc, message)
}

pub fn name_in_body(app_id: &str) -> ApiError {
    row("DAPR_SCHEDULER_JOB_NAME", 400, Code::InvalidArgument, "Set the job name in the url only").info(
        BOTH,
        "DAPR_SCHEDULER_JOB_NAME",
        [("appID".to_owned(), app_id.to_owned())],
    )
}

pub fn name_empty(app_id: &str, namespace: &str) -> ApiError {
    row("DAPR_SCHEDULER_JOB_NAME_EMPTY", 400, Code::InvalidArgument, "Name is empty").info(
        BOTH,
        "DAPR_SCHEDULER_JOB_NAME_EMPTY",
        owner(app_id, namespace),
    )
}

pub fn empty(app_id: &str, namespace: &str) -> ApiError {
    row("DAPR_SCHEDULER_EMPTY", 400, Code::InvalidArgument, "Job is empty").info(
        BOTH,
        "DAPR_SCHEDULER_EMPTY",
        owner(app_id, namespace),
    )
}

pub fn schedule_empty(app_id: &str, namespace: &str) -> ApiError {
    row("DAPR_SCHEDULER_SCHEDULE_EMPTY", 400, Code::InvalidArgument, "Schedule is empty").info(
        BOTH,
        "DAPR_SCHEDULER_SCHEDULE_EMPTY",
        owner(app_id, namespace),
    )
}

/// `what`: schedule job, get job, delete job, list jobs; `reason` as the scheduler errors name it.
pub fn disabled(what: &str, reason: &'static str, app_id: &str, namespace: &str) -> ApiError {
    row(reason, 500, Code::Internal, format!("failed to {what} due to: scheduler clients are disabled")).info(
        BOTH,
        reason,
        owner(app_id, namespace),
    )
}

fn owner(app_id: &str, namespace: &str) -> [(String, String); 2] {
    [("appID".to_owned(), app_id.to_owned()), ("namespace".to_owned(), namespace.to_owned())]
}
