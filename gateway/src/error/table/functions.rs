//! Functions: Ottavo's own, in the form of Dapr's.

use super::*;

fn row(tag: &'static str, http: u16, grpc: Code, message: String) -> ApiError {
    ApiError::new(Category::Function, tag, http, grpc, message)
}

/// Nothing is called so; `what` says what there is.
pub fn not_found(id: &str, what: &str) -> ApiError {
    row("ERR_FUNCTION_NOT_FOUND", 404, Code::NotFound, format!("there is no function with the id '{id}': {what}"))
}

/// No function takes this request.
pub fn no_route(method: &str, path: &str, what: &str) -> ApiError {
    let message = format!("no function takes {method} {path}: send the header 'id', or one of the routes: {what}");
    row("ERR_FUNCTION_ROUTE_NOT_FOUND", 404, Code::NotFound, message)
}

/// The function is known, and has no module to run.
pub fn not_loaded(function: &str, why: &str) -> ApiError {
    let message = format!("the function {function} cannot be called yet: {why}");
    row("ERR_FUNCTION_NOT_LOADED", 503, Code::Unavailable, message)
}

pub fn busy(message: String) -> ApiError {
    row("ERR_FUNCTION_BUSY", 503, Code::Unavailable, message)
}

pub fn out_of_time(message: String) -> ApiError {
    row("ERR_FUNCTION_TIMEOUT", 504, Code::DeadlineExceeded, message)
}

/// The guest used up its memory or its instructions.
pub fn out_of_limits(message: String) -> ApiError {
    row("ERR_FUNCTION_LIMIT", 500, Code::ResourceExhausted, message)
}

/// The guest gave up, or did not answer.
pub fn failed(message: String) -> ApiError {
    row("ERR_FUNCTION_FAILED", 500, Code::Internal, message)
}

pub fn too_long(message: String) -> ApiError {
    row("ERR_FUNCTION_REQUEST_TOO_LONG", 413, Code::ResourceExhausted, message)
}

pub fn bad_request(message: String) -> ApiError {
    row("ERR_FUNCTION_REQUEST", 400, Code::InvalidArgument, message)
}

/// Functions call each other without end.
pub fn too_deep(function: &str, depth: u32) -> ApiError {
    let message = format!(
        "the function {function} was not called: {depth} functions have called each other up to here, which is as deep as it may get"
    );
    row("ERR_FUNCTION_TOO_DEEP", 508, Code::ResourceExhausted, message)
}
