//! What containerd's metrics can hold of a function: they are those of a cgroup, which a function has not.
//!
//! Guests stand in for processes. Memory and processor time are the whole gateway's; calls, failures and latencies are
//! in the gateway's own metrics, under the function's name.

use containerd_shim_protos::cgroups::metrics::{Metrics, PidsStat};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use serde_json::Value;

use crate::events::packed;

/// Metrics from what the gateway knows of a function; `Null` for none.
pub fn of(function: &Value) -> Any {
    let number = |pointer: &str| function.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    let mut pids = PidsStat::new();
    pids.set_current(number("/guests"));
    pids.set_limit(number("/instances/max"));
    let mut metrics = Metrics::new();
    metrics.set_pids(pids);
    packed::<Metrics>(metrics.write_to_bytes().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_counted_as_processes() {
        let any = of(&serde_json::json!({ "guests": 3, "instances": { "min": 0, "max": 100 } }));
        assert_eq!(any.type_url, "io.containerd.cgroups.v1.Metrics");
        let metrics = Metrics::parse_from_bytes(&any.value).unwrap();
        assert_eq!((metrics.pids().current(), metrics.pids().limit()), (3, 100));
    }
}
