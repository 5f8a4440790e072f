//! Methods of blocks that have no implementation in this build.

use proto_dapr::runtime::*;
use tonic::Code;

use super::Context;
use crate::blocks::absent;
use crate::error::{ApiError, Category, table};

type Answer<T> = Result<T, ApiError>;

/// The request as nothing but a frame: its fields do not matter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Any {}

pub async fn placement(_context: Context, _request: Any) -> Answer<()> {
    Err(absent::placement())
}

pub async fn subtle_crypto(_context: Context, _request: Any) -> Answer<()> {
    Err(table::common::unimplemented())
}

pub async fn search(_context: Context, _request: Any) -> Answer<()> {
    Err(absent::unknown_block("search"))
}

pub async fn vector(_context: Context, _request: Any) -> Answer<()> {
    Err(absent::unknown_block("vector"))
}

pub async fn binary_file(_context: Context, _request: Any) -> Answer<()> {
    Err(absent::unknown_block("binary_file"))
}

pub async fn configuration(_context: Context, _request: Any) -> Answer<()> {
    Err(absent::configuration())
}

/// Unsubscribing answers OK and says what is wrong, as daprd does.
pub async fn unsubscribe_configuration(
    _context: Context,
    request: UnsubscribeConfigurationRequest,
) -> Answer<UnsubscribeConfigurationResponse> {
    Ok(UnsubscribeConfigurationResponse {
        ok: false,
        message: format!("failed to unsubscribe to configuration request {}: subscription does not exist", request.id),
    })
}

pub async fn try_lock(_context: Context, request: TryLockRequest) -> Answer<()> {
    Err(absent::try_lock(&request.store_name, request.expiry_in_seconds.into()))
}

pub async fn unlock(_context: Context, _request: UnlockRequest) -> Answer<()> {
    Err(absent::unlock())
}

pub async fn converse(context: Context, request: ConversationRequest) -> Answer<()> {
    Err(absent::conversation(&context.runtime.shared, &request.name))
}

pub async fn converse_alpha2(context: Context, request: ConversationRequestAlpha2) -> Answer<()> {
    Err(absent::conversation(&context.runtime.shared, &request.name))
}

pub async fn schedule_job(context: Context, request: ScheduleJobRequest) -> Answer<()> {
    let job = request
        .job
        .map(|job| absent::Job { is_scheduled: job.schedule.is_some() || job.due_time.is_some(), name: job.name });
    Err(absent::schedule_job(&context.runtime.shared, job))
}

pub async fn get_job(context: Context, request: GetJobRequest) -> Answer<()> {
    Err(absent::one_job(&context.runtime.shared, &request.name, "get job", "DAPR_SCHEDULER_GET_JOB"))
}

pub async fn delete_job(context: Context, request: DeleteJobRequest) -> Answer<()> {
    Err(absent::one_job(&context.runtime.shared, &request.name, "delete job", "DAPR_SCHEDULER_DELETE_JOB"))
}

pub async fn list_jobs(context: Context, _request: Any) -> Answer<()> {
    Err(absent::jobs(&context.runtime.shared, "list jobs", "DAPR_SCHEDULER_LIST_JOBS"))
}

pub async fn delete_jobs(context: Context, _request: Any) -> Answer<()> {
    Err(absent::jobs(&context.runtime.shared, "delete job", "DAPR_SCHEDULER_DELETE_JOB"))
}

/// `EncryptAlpha1`: options are checked in daprd's order, the component last.
pub async fn encrypt(context: Context, request: EncryptRequest) -> Answer<()> {
    let Some(options) = request.options else { return Err(crypto_options()) };
    for (value, field) in [(&options.key_name, "key_name"), (&options.key_wrap_algorithm, "key_wrap_algorithm")] {
        if value.is_empty() {
            return Err(table::common::bad_request(&format!("missing property '{field}' in the options message")));
        }
    }
    Err(absent::crypto(&context.runtime.shared, &options.component_name))
}

pub async fn decrypt(context: Context, request: DecryptRequest) -> Answer<()> {
    let Some(options) = request.options else { return Err(crypto_options()) };
    Err(absent::crypto(&context.runtime.shared, &options.component_name))
}

fn crypto_options() -> ApiError {
    ApiError::new(
        Category::Crypto,
        "ERR_BAD_REQUEST",
        400,
        Code::InvalidArgument,
        "invalid request: first message does not contain the required options",
    )
}
