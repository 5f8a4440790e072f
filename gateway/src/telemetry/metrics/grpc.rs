//! Measures of the gRPC servers and of gRPC calls made by the sidecar.

use std::borrow::Cow;
use std::time::Duration;

use super::catalog::Measure::*;
use super::http::bytes;
use super::{Metrics, whole_millis};

/// A call that came to an end.
#[derive(Debug, Clone, Copy)]
pub struct GrpcCall<'a> {
    /// The full method, `/package.Service/Method`.
    pub method: &'a str,
    /// The code of the status, 0 to 16.
    pub code: i32,
    /// Sizes of the encoded messages of a unary call; `None` for streams, whose sizes daprd does not record.
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    pub elapsed: Duration,
}

impl Metrics {
    /// A call to one of the gRPC servers came to an end.
    pub fn grpc_server(&self, call: &GrpcCall<'_>) {
        self.with(|inner| {
            let app = inner.app_id.as_str();
            let status = code_name(call.code);
            let labels = [app, call.method, &status];
            inner.count_and_observe(GrpcServerCompleted, GrpcServerLatency, &labels, whole_millis(call.elapsed));
            if let Some(size) = call.request_bytes {
                inner.observe(GrpcServerReceivedBytes, &labels[..2], bytes(size));
            }
            if let Some(size) = call.response_bytes {
                inner.observe(GrpcServerSentBytes, &labels[..2], bytes(size));
            }
        });
    }

    /// A call made by the sidecar came to an end.
    pub fn grpc_client(&self, call: &GrpcCall<'_>) {
        self.with(|inner| {
            let app = inner.app_id.as_str();
            let status = code_name(call.code);
            let labels = [app, call.method, &status];
            inner.count_and_observe(GrpcClientCompleted, GrpcClientLatency, &labels, whole_millis(call.elapsed));
            if let Some(size) = call.request_bytes {
                inner.observe(GrpcClientSentBytes, &labels[..2], bytes(size));
            }
            if let Some(size) = call.response_bytes {
                inner.observe(GrpcClientReceivedBytes, &labels[..2], bytes(size));
            }
        });
    }

    /// A health probe of a gRPC app came to an end.
    pub fn grpc_health_probe(&self, code: i32, elapsed: Duration) {
        self.with(|inner| {
            let status = code_name(code);
            let labels = [inner.app_id.as_str(), &*status];
            inner.count_and_observe(GrpcHealthCount, GrpcHealthLatency, &labels, whole_millis(elapsed));
        });
    }
}

/// The name of a status code as Go prints it.
pub fn code_name(code: i32) -> Cow<'static, str> {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    match usize::try_from(code).ok().and_then(|index| NAMES.get(index)) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("Code({code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::MetricSpec;

    #[test]
    fn calls_are_counted_by_method_and_status_name() {
        let metrics = Metrics::new("shop", "", &MetricSpec::default());
        metrics.grpc_server(&GrpcCall {
            method: "/dapr.proto.runtime.v1.Dapr/GetState",
            code: 5,
            request_bytes: Some(10),
            response_bytes: None,
            elapsed: Duration::ZERO,
        });
        let page = metrics.render();
        let line = concat!(
            r#"dapr_grpc_io_server_completed_rpcs{app_id="shop","#,
            r#"grpc_server_method="/dapr.proto.runtime.v1.Dapr/GetState",grpc_server_status="NotFound"} 1"#
        );
        assert!(page.lines().any(|found| found == line), "{page}");
        assert!(page.contains("received_bytes_per_rpc_count"));
        assert!(!page.contains("sent_bytes_per_rpc"));
    }
}
