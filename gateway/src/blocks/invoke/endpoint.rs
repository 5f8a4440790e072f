//! Calls outside: HTTPEndpoints by name, and URLs (as daprd 1.18).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, LOCATION, REFERER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;

use super::call::{AppCall, AppReply};
use super::local::{http_reply, http_request, http_verb, shown};
use crate::app::{AppError, TOKEN_HEADER, finish_response, go_operation, url};
use crate::body::Body;
use crate::client::Origin;
use crate::client::http1::Http1Pool;
use crate::client::tls::{self, TlsConfig, Trust};
use crate::config::component::Secrets;
use crate::config::http_endpoint::TlsDocument;
use crate::config::value::DynamicValue;
use crate::config::{Environment, HttpEndpoint};
use crate::pipeline::Pipeline;
use crate::telemetry::Metrics;
use crate::telemetry::trace::SpanContext;

/// For setting up a connection, TLS included (as daprd 1.18).
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);
/// As Go's client.
const MAX_REDIRECTS: usize = 10;
/// Addresses outside to which connections are kept.
const MAX_POOLS: usize = 256;

/// An HTTPEndpoint with everything put in.
pub struct Endpoint {
    pub name: String,
    base_url: String,
    /// Set on each call, over what the caller sent.
    headers: Vec<(HeaderName, HeaderValue)>,
    pools: Pools,
}

/// An endpoint that cannot be used: which part of it, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("spec.clientTLS.{part}: {error}")]
    Tls { part: &'static str, error: tls::PemError },
    #[error(
        "spec.clientTLS.renegotiation: invalid renegotiation value {0}; it may be RenegotiateNever, OnceAsClient or FreelyAsClient"
    )]
    Renegotiation(String),
    #[error("spec.headers: '{0}' cannot be a header")]
    Header(String),
}

impl Endpoint {
    /// `secrets` are those that the resource refers to.
    pub fn new(resource: &HttpEndpoint, secrets: &Secrets, environment: &Environment) -> Result<Self, EndpointError> {
        let spec = &resource.spec;
        let mut headers = Vec::with_capacity(spec.headers.len());
        for property in &spec.headers {
            let (value, _) = property.resolve(secrets, environment);
            let header = HeaderName::from_bytes(property.name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            headers.push(header.ok_or_else(|| EndpointError::Header(property.name.clone()))?);
        }
        let mut config = TlsConfig::new(Trust::System);
        if let Some(client) = &spec.client_tls {
            if let Some(value) = &client.renegotiation
                && !matches!(value.as_str(), "" | "RenegotiateNever" | "OnceAsClient" | "FreelyAsClient")
            {
                return Err(EndpointError::Renegotiation(value.clone()));
            }
            let text = |document: &Option<TlsDocument>| {
                document.as_ref().map(|document| pem(document, secrets)).unwrap_or_default()
            };
            let (root, certificate, key) =
                (text(&client.root_ca), text(&client.certificate), text(&client.private_key));
            if !root.is_empty() {
                let trust = tls::roots(&root).map_err(|error| EndpointError::Tls { part: "rootCA", error })?;
                config = TlsConfig::new(trust);
            }
            if !key.is_empty() {
                config = config.with_identity(&certificate, &key).map_err(|error| {
                    let part = if error == tls::PemError::NoKey { "privateKey" } else { "certificate" };
                    EndpointError::Tls { part, error }
                })?;
            }
        }
        let base_url = spec.base_url.clone();
        Ok(Self { name: resource.metadata.name.clone(), base_url, headers, pools: Pools::new(config) })
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

/// The text of a document: given, or from the secret it refers to.
fn pem(document: &TlsDocument, secrets: &Secrets) -> String {
    if let Some(value) = document.value.as_ref().map(DynamicValue::text).filter(|value| !value.is_empty()) {
        return value;
    }
    let Some(reference) = &document.secret_key_ref else { return String::new() };
    let key = if reference.key.is_empty() { &reference.name } else { &reference.key };
    secrets.get(&reference.name).and_then(|secret| secret.get(key)).cloned().unwrap_or_default()
}

/// What calls outside share.
pub struct Outside {
    /// Of URLs.
    pools: Pools,
    /// daprd gives the application's token to URLs, but not to endpoints.
    pub token: Option<HeaderValue>,
    pub pipeline: Arc<ArcSwap<Pipeline>>,
    pub metrics: Metrics,
}

/// Where a call outside goes.
pub enum Destination<'a> {
    Url(&'a str),
    Endpoint(&'a Endpoint),
}

impl Outside {
    pub fn new(token: Option<HeaderValue>, pipeline: Arc<ArcSwap<Pipeline>>, metrics: Metrics) -> Self {
        Self { pools: Pools::new(TlsConfig::new(Trust::System)), token, pipeline, metrics }
    }

    /// Calls a method outside. Redirects of endpoints are followed, those of URLs passed on.
    pub async fn call(
        &self,
        destination: &Destination<'_>,
        call: AppCall,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, AppError> {
        let AppCall { head, body, .. } = call;
        let verb = http_verb(&head)?;
        let base_url = match destination {
            Destination::Url(url) => url,
            Destination::Endpoint(endpoint) => endpoint.base_url.as_str(),
        };
        let shown_url = format!("{base_url}{}", shown(&head));
        let unusable = |reason: &str| AppError::new(format!("parse \"{shown_url}\": {reason}"));
        let base = Address::parse(base_url).map_err(|error| unusable(&error))?;
        let target =
            url::target(&base.path, &head.method, &head.query).map_err(|error| unusable(&error.to_string()))?;
        let mut request = http_request(head, verb, target.into(), body, trace);
        let (pools, follows) = match destination {
            Destination::Url(_) => {
                if let Some(token) = &self.token {
                    request.headers_mut().insert(TOKEN_HEADER, token.clone());
                }
                (&self.pools, false)
            }
            Destination::Endpoint(endpoint) => {
                for (name, value) in &endpoint.headers {
                    request.headers_mut().insert(name.clone(), value.clone());
                }
                (&endpoint.pools, true)
            }
        };
        if let Some(user) = &base.user
            && !request.headers().contains_key(AUTHORIZATION)
        {
            request.headers_mut().insert(AUTHORIZATION, user.clone());
        }
        let pipeline = self.pipeline.load_full();
        let response = crate::app::through(&pipeline, &self.metrics, request, |request| {
            exchange(pools, base.clone(), request, follows)
        })
        .await?;
        Ok(http_reply(response))
    }
}

/// One exchange, and those that redirects ask for.
async fn exchange(
    pools: &Pools,
    mut address: Address,
    request: Request<Body>,
    follows: bool,
) -> Result<Response<Body>, AppError> {
    let asked_for_encoding = crate::app::asks_for_encoding(&request);
    let (first_method, first_url) = (request.method().clone(), address.join(request.uri()));
    let mut request = request;
    for _ in 0..MAX_REDIRECTS {
        let shown = address.join(request.uri());
        let failed = |method: &Method, error: &dyn std::fmt::Display| {
            AppError::new(format!("{} \"{shown}\": {error}", go_operation(method)))
        };
        let method = request.method().clone();
        let pool = pools.get(&address).map_err(|error| failed(&method, &error))?;
        let next = follows.then(|| Next::of(&request));
        let response = pool.send(request).await.map_err(|error| failed(&method, &error))?;
        let redirected = next.and_then(|next| next.after(&response, &address, &shown));
        match redirected {
            None => return Ok(finish_response(response, asked_for_encoding)),
            Some((elsewhere, again)) => (address, request) = (elsewhere, again),
        }
    }
    Err(AppError::new(format!(
        "{} \"{first_url}\": stopped after {MAX_REDIRECTS} redirects",
        go_operation(&first_method)
    )))
}

/// What is needed of a request to follow a redirect (as Go's client).
struct Next {
    method: Method,
    headers: HeaderMap,
    has_body: bool,
}

impl Next {
    fn of(request: &Request<Body>) -> Self {
        Self {
            method: request.method().clone(),
            headers: request.headers().clone(),
            has_body: !request.body().is_end_stream(),
        }
    }

    /// The request that a redirect asks for, and where it goes. A body that was sent cannot be sent again.
    fn after(mut self, response: &Response<Body>, from: &Address, from_url: &str) -> Option<(Address, Request<Body>)> {
        let keeps_method = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT if !self.has_body => true,
            _ => return None,
        };
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let (address, uri) = from.resolve(location, from_url)?;
        if !keeps_method && !matches!(self.method, Method::GET | Method::HEAD) {
            self.method = Method::GET;
        }
        self.headers.remove(CONTENT_LENGTH);
        if self.has_body {
            self.headers.remove(CONTENT_TYPE);
        }
        if !address.is_below(from) {
            for name in [AUTHORIZATION, COOKIE, HeaderName::from_static("cookie2"), http::header::WWW_AUTHENTICATE] {
                self.headers.remove(name);
            }
        }
        self.headers.remove(http::header::HOST);
        let downgrades = from.is_tls && !address.is_tls;
        match HeaderValue::from_str(from_url) {
            Ok(referer) if !downgrades => drop(self.headers.insert(REFERER, referer)),
            _ => drop(self.headers.remove(REFERER)),
        }
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers;
        Some((address, request))
    }
}

/// A base URL in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    is_tls: bool,
    host: String,
    port: u16,
    /// In front of methods.
    path: String,
    /// `user:password@` of the URL, as a header.
    user: Option<HeaderValue>,
}

impl Address {
    fn parse(url: &str) -> Result<Self, String> {
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err("missing protocol scheme".to_owned()),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (user, authority) = match authority.rsplit_once('@') {
            None => (None, authority),
            Some((user, authority)) => (basic(user), authority),
        };
        let default_port = if is_tls { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                let number = if port.is_empty() { Ok(default_port) } else { port.parse() };
                (host, number.map_err(|_| format!("invalid port \":{port}\" after host"))?)
            }
            _ => (authority, default_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("no Host in request URL".to_owned());
        }
        Ok(Self { is_tls, host, port, path: path.to_owned(), user })
    }

    /// The URL of a path and query at this address.
    fn join(&self, uri: &http::Uri) -> String {
        format!("{}{uri}", self.root())
    }

    fn root(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let is_usual = self.port == if self.is_tls { 443 } else { 80 };
        if is_usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{}", self.port) }
    }

    /// Where a `Location` leads, from `url` at this address.
    fn resolve(&self, location: &str, url: &str) -> Option<(Self, http::Uri)> {
        let location = location.split('#').next().unwrap_or_default();
        let (address, path) = if location.starts_with("http://") || location.starts_with("https://") {
            absolute(location)?
        } else if let Some(rest) = location.strip_prefix("//") {
            absolute(&format!("{}://{rest}", if self.is_tls { "https" } else { "http" }))?
        } else {
            let current = url.strip_prefix(&self.root()).unwrap_or("/").split('?').next().unwrap_or("/");
            let path = match location.as_bytes().first() {
                Some(b'/') => location.to_owned(),
                Some(b'?') => format!("{current}{location}"),
                None => current.to_owned(),
                Some(_) => {
                    let folder = current.rfind('/').map_or("", |slash| &current[..slash]);
                    let (path, query) =
                        location.split_once('?').map_or((location, None), |(path, query)| (path, Some(query)));
                    let joined = format!("{folder}/{path}");
                    let cleaned = url::clean(&joined);
                    query.map_or_else(|| cleaned.to_string(), |query| format!("{cleaned}?{query}"))
                }
            };
            (self.clone(), path)
        };
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        Some((address, path.parse().ok()?))
    }

    /// Whether this is the same host as another, or one below it: then credentials may go along.
    fn is_below(&self, other: &Self) -> bool {
        self.host == other.host || self.host.ends_with(&format!(".{}", other.host))
    }
}

/// The address of an absolute URL, and its path and query.
fn absolute(url: &str) -> Option<(Address, String)> {
    let mut address = Address::parse(url).ok()?;
    let path = std::mem::take(&mut address.path);
    Some((address, path))
}

fn basic(user: &str) -> Option<HeaderValue> {
    use base64::Engine;
    let text: Vec<u8> = percent_encoding::percent_decode_str(user).collect();
    let text = if text.contains(&b':') { text } else { [&text[..], b":"].concat() };
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Connections by address, under one TLS configuration.
struct Pools {
    tls: TlsConfig,
    by_address: Mutex<HashMap<(bool, String, u16), Http1Pool>>,
}

impl Pools {
    fn new(tls: TlsConfig) -> Self {
        Self { tls, by_address: Mutex::default() }
    }

    fn get(&self, address: &Address) -> Result<Http1Pool, crate::client::ClientError> {
        let mut pools = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (address.is_tls, address.host.clone(), address.port);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let tls = address.is_tls.then(|| self.tls.clone());
        let pool = Http1Pool::new(Origin::new(&address.host, address.port, tls)?.with_dial_timeout(DIAL_TIMEOUT));
        if pools.len() >= MAX_POOLS {
            // Connections in use live on without their pool.
            pools.clear();
        }
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_taken_apart() {
        let address = Address::parse("https://user:pw@host.test:8443/base").unwrap();
        assert_eq!(
            (address.is_tls, address.host.as_str(), address.port, address.path.as_str()),
            (true, "host.test", 8443, "/base")
        );
        assert_eq!(address.user.unwrap(), "Basic dXNlcjpwdw==");
        assert_eq!(Address::parse("http://[::1]:5").unwrap().host, "::1");
        assert_eq!(Address::parse("http://h").unwrap().port, 80);
        assert!(Address::parse("http://h:x").is_err());
        assert!(Address::parse("ftp://h").is_err());
    }

    #[test]
    fn redirects_lead_where_they_say() {
        let from = Address::parse("http://h.test:81").unwrap();
        for (location, url) in [
            ("/other?x=1", "http://h.test:81/other?x=1"),
            ("below", "http://h.test:81/a/below"),
            ("../up?q", "http://h.test:81/up?q"),
            ("?only=query", "http://h.test:81/a/b?only=query"),
            ("https://else.test/p", "https://else.test/p"),
            ("//else.test/p#f", "http://else.test/p"),
        ] {
            let (address, uri) = from.resolve(location, "http://h.test:81/a/b?c=d").unwrap();
            assert_eq!(address.join(&uri), url, "{location}");
        }
    }

    #[test]
    fn a_redirect_of_a_post_becomes_a_get_without_credentials_elsewhere() {
        let from = Address::parse("http://h.test").unwrap();
        let mut request = Request::new(Body::full("x"));
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("secret"));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("http://else.test/"));
        let (address, again) = Next::of(&request).after(&response, &from, "http://h.test/x").unwrap();
        assert_eq!((address.host.as_str(), again.method()), ("else.test", &Method::GET));
        assert!(!again.headers().contains_key(AUTHORIZATION));
        assert_eq!(again.headers()[REFERER], "http://h.test/x");
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        assert!(Next::of(&request).after(&response, &from, "http://h.test/x").is_none());
    }
}
