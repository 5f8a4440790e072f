//! Errors as gRPC statuses: the only place that renders an [`ApiError`] for this wire.

use bytes::Bytes;
use prost::Message;
use prost_types::Any;
use proto_dapr::google_rpc::{BadRequest, ErrorInfo, Help, ResourceInfo, Status as RpcStatus, bad_request, help};
use tonic::{Code, Status};

use crate::error::{ApiError, DOMAIN, DetailKind};
use crate::operation::Front;

/// The status of an error, with its details packed as `google.rpc.Status`.
pub fn status(error: &ApiError) -> Status {
    if let Some(foreign) = error.foreign() {
        return Status::with_details(
            Code::from(foreign.code),
            foreign.message.clone(),
            Bytes::copy_from_slice(&foreign.details),
        );
    }
    let details: Vec<Any> = error.details(Front::Grpc).map(pack).collect();
    with_details(error.grpc_code(), error.message(Front::Grpc), details)
}

/// A status with detail messages.
pub fn with_details(code: Code, message: &str, details: Vec<Any>) -> Status {
    if details.is_empty() {
        return Status::new(code, message);
    }
    let packed = RpcStatus { code: code as i32, message: message.to_owned(), details };
    Status::with_details(code, message, Bytes::from(packed.encode_to_vec()))
}

/// An `ErrorInfo` as a detail.
pub fn error_info(reason: &str, metadata: impl IntoIterator<Item = (String, String)>) -> Any {
    let metadata = metadata.into_iter().collect();
    any("ErrorInfo", &ErrorInfo { reason: reason.to_owned(), domain: DOMAIN.to_owned(), metadata })
}

fn pack(kind: &DetailKind) -> Any {
    match kind {
        DetailKind::ErrorInfo { reason, domain, metadata } => any(
            "ErrorInfo",
            &ErrorInfo {
                reason: reason.clone(),
                domain: domain.clone(),
                metadata: metadata.clone().into_iter().collect(),
            },
        ),
        DetailKind::ResourceInfo { resource_type, resource_name, owner, description } => any(
            "ResourceInfo",
            &ResourceInfo {
                resource_type: resource_type.clone(),
                resource_name: resource_name.clone(),
                owner: owner.clone(),
                description: description.clone(),
            },
        ),
        DetailKind::BadRequest { field, description } => any(
            "BadRequest",
            &BadRequest {
                field_violations: vec![bad_request::FieldViolation {
                    field: field.clone(),
                    description: description.clone(),
                    ..Default::default()
                }],
            },
        ),
        DetailKind::Help { url, description } => {
            any("Help", &Help { links: vec![help::Link { description: description.clone(), url: url.clone() }] })
        }
    }
}

fn any<M: Message>(name: &str, message: &M) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}
