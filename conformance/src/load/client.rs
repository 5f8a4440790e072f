//! An HTTP/1.1 client with kept connections.

use std::convert::Infallible;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::app::Checksum;

/// How long an ordinary call may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<HttpConnector, BoxBody<Bytes, Infallible>>,
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { inner: legacy::Client::builder(TokioExecutor::new()).build(connector) }
    }
}

impl Client {
    /// One exchange with a whole body each way.
    ///
    /// # Errors
    /// No whole answer, or a status that is no success; the text says which.
    pub async fn call(&self, method: Method, url: &str, json: impl Into<Bytes>) -> Result<Bytes, String> {
        let exchange = async {
            let response = self.send(method, url, Full::new(json.into()).boxed()).await?;
            let status = response.status();
            let body = response.into_body().collect().await.map_err(|error| format!("broken answer: {error}"))?;
            let body = body.to_bytes();
            if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(format!("no answer in {PATIENCE:?}")))
    }

    /// Sends any body; the answer's is left to be read.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        body: BoxBody<Bytes, Infallible>,
    ) -> Result<Response<Incoming>, String> {
        let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        let request = request.body(body).map_err(|error| error.to_string())?;
        self.inner.request(request).await.map_err(|error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })
    }

    /// Reads an answer to its end without keeping it.
    ///
    /// # Errors
    /// It broke off, or its status is no success.
    pub async fn checksum(response: Response<Incoming>) -> Result<String, String> {
        let status = response.status();
        let (mut body, mut checksum) = (response.into_body(), Checksum::default());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("broken answer: {error}"))?;
            if let Some(data) = frame.data_ref() {
                checksum.add(data);
            }
        }
        if status.is_success() { Ok(checksum.text()) } else { Err(refused(status, b"")) }
    }
}

fn refused(status: StatusCode, body: &[u8]) -> String {
    format!("{status}: {}", String::from_utf8_lossy(body))
}
