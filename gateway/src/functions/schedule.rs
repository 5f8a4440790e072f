//! Functions on a schedule: a POST to `/<function>/cron` at each of its times, one after the other.

use chrono::Utc;
use components::cron::Schedule;
use http::Request;

use super::call::{Cause, Origin};
use super::{Functions, Inner, SCOPE};
use crate::body::Body;

/// Calls the function `name` at the times of `schedule`, until the functions end. A time that comes while the call of an
/// earlier one goes on is left out.
pub(super) async fn run(inner: std::sync::Weak<Inner>, name: String, text: String, schedule: Schedule) {
    loop {
        let now = Utc::now();
        let Some(next) = schedule.next(now) else {
            tracing::warn!(target: SCOPE, "The schedule '{text}' of the function {name} has no further times");
            return;
        };
        tokio::time::sleep((next - now).to_std().unwrap_or_default()).await;
        let Some(functions) = Functions::upgrade(&inner) else { return };
        call(&functions, &name).await;
    }
}

async fn call(functions: &Functions, name: &str) {
    let table = functions.table();
    let Some(slot) = table.by_name(name) else { return };
    let request = Request::post(format!("/{name}/cron")).body(Body::empty());
    let Ok(request) = request else { return };
    let origin = Origin { cause: Cause::Schedule, depth: 0, trace: None };
    match functions.request(slot, origin, request).await {
        Ok(response) if response.status().is_success() => {}
        Ok(response) => {
            tracing::warn!(target: SCOPE, "Function {name} answered its schedule with {}", response.status());
        }
        // What a guest has failed with is in the log already.
        Err(error) => tracing::warn!(target: SCOPE, "Function {name} did not follow its schedule: {error}"),
    }
}
