//! Why a call of the application got no answer.

use std::fmt;

use http::{Method, Uri};
use tonic::{Code, Status};

use crate::client::{ClientError, Origin};
use crate::error::go_code_name;

/// A call without an answer; prints as daprd prints it.
#[derive(Debug, Clone)]
pub struct AppError {
    text: String,
    /// Set when the failure is a gRPC status of its own.
    code: Option<Code>,
}

impl AppError {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: None }
    }

    /// A failure that is a status in daprd, and prints as one.
    pub fn status(code: Code, message: &str) -> Self {
        Self { text: format!("rpc error: code = {} desc = {message}", go_code_name(code)), code: Some(code) }
    }

    pub fn unhealthy() -> Self {
        Self::status(Code::Internal, "app is not in a healthy state")
    }

    /// A failed exchange, as Go's HTTP client words it: method, address, cause.
    pub fn exchange(method: &Method, origin: &Origin, uri: &Uri, error: &ClientError) -> Self {
        let scheme = origin.scheme();
        Self::new(format!("{} \"{scheme}://{origin}{uri}\": {error}", go_operation(method)))
    }

    /// The code, `Unknown` where the failure is no status.
    pub fn code(&self) -> Code {
        self.code.unwrap_or(Code::Unknown)
    }

    /// As the status of a callback.
    pub fn into_status(self) -> Status {
        let text = self.text;
        let message =
            self.code.and_then(|code| text.strip_prefix(&format!("rpc error: code = {} desc = ", go_code_name(code))));
        Status::new(self.code.unwrap_or(Code::Unknown), message.unwrap_or(&text))
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for AppError {}

/// `GET` as `Get`: how Go names the operation of a failed request.
pub fn go_operation(method: &Method) -> String {
    let name = method.as_str();
    let (first, rest) = name.split_at(name.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_print_as_in_go() {
        let origin = Origin::new("127.0.0.1", 5, None).unwrap();
        let error =
            AppError::exchange(&Method::GET, &origin, &"/x?y=1".parse().unwrap(), &ClientError::transport("EOF"));
        assert_eq!(error.to_string(), "Get \"http://127.0.0.1:5/x?y=1\": EOF");
        assert_eq!(
            AppError::unhealthy().to_string(),
            "rpc error: code = Internal desc = app is not in a healthy state"
        );
        assert_eq!(AppError::unhealthy().into_status().message(), "app is not in a healthy state");
    }
}
