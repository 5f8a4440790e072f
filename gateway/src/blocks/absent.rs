//! Blocks that have no implementation in this build: what they answer (as daprd 1.18 without the component or the
//! control plane that they need).

use super::Shared;
use crate::error::{ApiError, table};

/// Actors and workflows, while there is no placement.
pub fn placement() -> ApiError {
    table::absent::placement()
}

/// Taking a lock: the expiry (seconds) is looked at before the store.
pub fn try_lock(store: &str, expiry: i64) -> ApiError {
    if expiry <= 0 { table::absent::lock_expiry(store) } else { table::absent::lock_store() }
}

pub fn unlock() -> ApiError {
    table::absent::lock_store()
}

pub fn configuration() -> ApiError {
    table::absent::configuration_store()
}

/// Encrypting and decrypting with the provider `name`.
pub fn crypto(shared: &Shared, name: &str) -> ApiError {
    let components = shared.loaded.current();
    if components.crypto.is_empty() {
        table::absent::crypto_providers()
    } else if !components.crypto.contains_key(name) {
        table::absent::crypto_provider(name)
    } else {
        table::common::unimplemented()
    }
}

pub fn conversation(shared: &Shared, name: &str) -> ApiError {
    if shared.loaded.current().conversation.contains_key(name) {
        table::common::unimplemented()
    } else {
        table::absent::conversation(name)
    }
}

/// A job as far as it is checked before the scheduler is asked.
#[derive(Debug, Default)]
pub struct Job {
    pub name: String,
    /// Whether it has a schedule or a due time.
    pub is_scheduled: bool,
}

pub fn schedule_job(shared: &Shared, job: Option<Job>) -> ApiError {
    let (app_id, namespace) = (&shared.app_id, &shared.namespace);
    match job {
        None => table::jobs::empty(app_id, namespace),
        Some(job) if job.name.is_empty() => table::jobs::name_empty(app_id, namespace),
        Some(job) if !job.is_scheduled => table::jobs::schedule_empty(app_id, namespace),
        Some(_) => table::jobs::disabled("schedule job", "DAPR_SCHEDULER_SCHEDULE_JOB", app_id, namespace),
    }
}

/// Reading (`get job`) or deleting (`delete job`) one job.
pub fn one_job(shared: &Shared, name: &str, what: &str, reason: &'static str) -> ApiError {
    if name.is_empty() {
        table::jobs::name_empty(&shared.app_id, &shared.namespace)
    } else {
        jobs(shared, what, reason)
    }
}

pub fn jobs(shared: &Shared, what: &str, reason: &'static str) -> ApiError {
    table::jobs::disabled(what, reason, &shared.app_id, &shared.namespace)
}

/// The blocks of Dapr 1.19's SDKs that no public runtime has: `search`, `vector`, `binary file`.
pub fn unknown_block(what: &str) -> ApiError {
    table::absent::block(what)
}
