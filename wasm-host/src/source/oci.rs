//! Modules in OCI registries: `oci://[registry/]name[:tag][@sha256:digest]`, read without credentials.
//!
//! A module is a layer of its own (`application/wasm` and the media types before that one), or the first `.wasm` file in
//! a classic layer of files.

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

use super::http::{causes, content};
use super::tar;
use crate::digest::sha256;
use crate::error::{Error, Result};

const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// The name of a module in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    registry: String,
    name: String,
    /// A tag, or a digest.
    version: String,
}

impl Reference {
    /// Reads what stands behind `oci://`. Without a registry it is Docker's, without a version `latest`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (path, digest) = match text.split_once('@') {
            Some((path, digest)) => (path, Some(digest)),
            None => (text, None),
        };
        let (registry, rest) = match path.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first.to_owned(), rest.to_owned())
            }
            Some(_) => ("registry-1.docker.io".to_owned(), path.to_owned()),
            None => ("registry-1.docker.io".to_owned(), format!("library/{path}")),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) => (name.to_owned(), tag.to_owned()),
            None => (rest, "latest".to_owned()),
        };
        let is_word = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
        };
        let version = digest.map_or(tag, str::to_owned);
        let is_path = !name.starts_with('/') && !name.ends_with('/');
        (is_path && is_word(&name, "._-/") && is_word(&version, "._-:") && is_word(&registry, ".-:[]"))
            .then_some(Self { registry, name, version })
    }

    /// The last part of its name.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Registries on this machine speak plain HTTP.
    fn url(&self, kind: &str, version: &str) -> String {
        let host = self.registry.split(':').next().unwrap_or_default();
        let scheme = if matches!(host, "localhost" | "127.0.0.1") { "http" } else { "https" };
        format!("{scheme}://{}/v2/{}/{kind}/{version}", self.registry, self.name)
    }

    /// Gets the module.
    pub(super) async fn get(&self, client: &Client) -> Result<Bytes> {
        let mut pull = Pull { client, token: None };
        let mut manifest = self.manifest(&mut pull, &self.version).await?;
        // A list of images by platform: the one for WebAssembly, else the first.
        if let Some(images) = manifest.get("manifests").and_then(Value::as_array) {
            let is_wasm = |image: &&Value| image.pointer("/platform/architecture").is_some_and(|one| one == "wasm");
            let image = images.iter().find(is_wasm).or(images.first());
            let digest = image.and_then(|image| image.get("digest")).and_then(Value::as_str);
            let digest = digest.ok_or_else(|| self.failed("its list of images is empty"))?.to_owned();
            manifest = self.manifest(&mut pull, &digest).await?;
        }
        let layers = manifest.get("layers").and_then(Value::as_array).cloned().unwrap_or_default();
        let kind = |layer: &Value| layer.get("mediaType").and_then(Value::as_str).unwrap_or_default().to_owned();
        let of_files = |layer: &&Value| kind(layer).contains(".tar");
        let layer = layers.iter().find(|layer| kind(layer).ends_with("wasm")).or(layers.iter().find(of_files));
        let layer = layer.ok_or_else(|| self.failed("it has no layer of type application/wasm, and none of files"))?;
        let digest = layer.get("digest").and_then(Value::as_str).ok_or_else(|| self.failed("a layer has no digest"))?;
        let url = self.url("blobs", digest);
        let blob = content(&url, pull.get(&url, "*/*").await?).await?;
        self.check(digest, &blob)?;
        if kind(layer).ends_with("wasm") {
            return Ok(blob);
        }
        let files = if kind(layer).ends_with("gzip") { super::http::unpacked(&url, &blob)? } else { blob };
        tar::first_module(&files).ok_or_else(|| self.failed("its layer of files holds no .wasm file"))
    }

    async fn manifest(&self, pull: &mut Pull<'_>, version: &str) -> Result<Value> {
        let url = self.url("manifests", version);
        let bytes = content(&url, pull.get(&url, MANIFESTS).await?).await?;
        if version.starts_with("sha256:") {
            self.check(version, &bytes)?;
        }
        serde_json::from_slice(&bytes).map_err(|error| self.failed(&format!("its manifest is no JSON: {error}")))
    }

    fn check(&self, digest: &str, bytes: &[u8]) -> Result<()> {
        let found = format!("sha256:{}", hex::encode(sha256(bytes)));
        if found == digest {
            return Ok(());
        }
        Err(self.failed(&format!("what it gave for {digest} has the digest {found}")))
    }

    fn failed(&self, what: &str) -> Error {
        Error::Source(format!("oci://{}/{}: {what}", self.registry, self.name))
    }
}

/// Requests of one pull; a token is asked for when the registry wants one.
struct Pull<'a> {
    client: &'a Client,
    token: Option<String>,
}

impl Pull<'_> {
    async fn get(&mut self, url: &str, accept: &str) -> Result<Response> {
        let response = self.send(url, accept).await?;
        if response.status() != StatusCode::UNAUTHORIZED || self.token.is_some() {
            return Ok(response);
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let Some(ask) = challenge.and_then(token_url) else { return Ok(response) };
        let answer = content(&ask, self.send(&ask, "application/json").await?).await?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(Value::as_str);
        self.token = Some(token.unwrap_or_default().to_owned());
        self.send(url, accept).await
    }

    async fn send(&self, url: &str, accept: &str) -> Result<Response> {
        let mut request = self.client.get(url).header(ACCEPT, accept);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.send().await.map_err(|error| Error::Source(format!("Get \"{url}\": {}", causes(&error))))
    }
}

/// Where a registry gives tokens, from its challenge (`Bearer realm="...",service="...",scope="..."`).
fn token_url(challenge: &str) -> Option<String> {
    let fields = challenge.strip_prefix("Bearer ")?;
    let field = |name: &str| {
        let rest = &fields[fields.find(&format!("{name}=\""))? + name.len() + 2..];
        rest.split('"').next()
    };
    let mut url = reqwest::Url::parse(field("realm")?).ok()?;
    for name in ["service", "scope"] {
        if let Some(value) = field(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn references_are_read() {
        let parse = |text| Reference::parse(text).map(|one| [one.registry, one.name, one.version]);
        let docker = "registry-1.docker.io";
        assert_eq!(parse("guest").unwrap(), [docker, "library/guest", "latest"]);
        assert_eq!(parse("team/guest:1").unwrap(), [docker, "team/guest", "1"]);
        assert_eq!(parse("localhost:5000/a/b:1").unwrap(), ["localhost:5000", "a/b", "1"]);
        assert_eq!(parse("ghcr.io/a@sha256:ab").unwrap(), ["ghcr.io", "a", "sha256:ab"]);
        for text in ["", "a b", "host:1/", "ghcr.io/a?b", "ghcr.io/a:"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    /// A registry on this machine: it answers these paths with these bodies, to those who bring a token.
    async fn registry(entries: Vec<(String, Vec<u8>)>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (entries, host) = (Arc::new(entries), address.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (entries, host) = (entries.clone(), host.clone());
                tokio::spawn(async move {
                    let mut request = vec![0; 8192];
                    let length = stream.read(&mut request).await.unwrap();
                    let request = String::from_utf8_lossy(&request[..length]).into_owned();
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    let found = entries.iter().find(|(known, _)| *known == path);
                    let is_known = request.contains("authorization: Bearer t0ken");
                    let (head, body) = match found {
                        _ if path.starts_with("/token?service=s&scope=") => {
                            ("200 OK".to_owned(), b"{\"token\": \"t0ken\"}".to_vec())
                        }
                        _ if !is_known => {
                            let realm = format!("Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"pull\"");
                            (format!("401 Unauthorized\r\nWWW-Authenticate: {realm}"), Vec::new())
                        }
                        Some((_, body)) => ("200 OK".to_owned(), body.clone()),
                        None => ("404 Not Found".to_owned(), Vec::new()),
                    };
                    let length = body.len();
                    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                    stream.write_all(&[head.into_bytes(), body].concat()).await.unwrap();
                });
            }
        });
        address
    }

    fn blob(bytes: &[u8]) -> (String, (String, Vec<u8>)) {
        let digest = format!("sha256:{}", hex::encode(sha256(bytes)));
        (digest.clone(), (format!("/v2/team/guest/blobs/{digest}"), bytes.to_vec()))
    }

    fn manifest(kind: &str, digest: &str) -> Vec<u8> {
        format!(r#"{{"layers": [{{"mediaType": "{kind}", "digest": "{digest}"}}]}}"#).into_bytes()
    }

    async fn get(address: &str, version: &str) -> Result<Bytes> {
        Reference::parse(&format!("{address}/team/guest{version}")).unwrap().get(&Client::new()).await
    }

    #[tokio::test]
    async fn a_module_is_its_own_layer_or_a_file_of_one() {
        let (digest, layer) = blob(b"\0asm module");
        let (tar_digest, tar_layer) =
            blob(&tar::tests::archive(&[("other.txt", b"x"), ("plugin.wasm", b"\0asm file")]));
        let own = manifest("application/wasm", &digest);
        let own_digest = format!("sha256:{}", hex::encode(sha256(&own)));
        let list =
            format!(r#"{{"manifests": [{{"platform": {{"architecture": "wasm"}}, "digest": "{own_digest}"}}]}}"#);
        let at = |version: &str| format!("/v2/team/guest/manifests/{version}");
        let address = registry(vec![
            layer,
            tar_layer,
            (at("1"), own.clone()),
            (at(&own_digest), own),
            (at("list"), list.into_bytes()),
            (at("files"), manifest("application/vnd.oci.image.layer.v1.tar", &tar_digest)),
        ])
        .await;
        for version in [":1".to_owned(), format!("@{own_digest}"), ":list".to_owned()] {
            assert_eq!(get(&address, &version).await.unwrap(), "\0asm module", "{version}");
        }
        assert_eq!(get(&address, ":files").await.unwrap(), "\0asm file");
        let error = get(&address, ":2").await.unwrap_err().to_string();
        assert!(error.contains("404"), "{error}");
    }

    #[tokio::test]
    async fn content_that_is_not_what_its_digest_says_is_refused() {
        let (digest, (path, _)) = blob(b"\0asm module");
        let at = "/v2/team/guest/manifests/1".to_owned();
        let address =
            registry(vec![(path, b"\0asm other".to_vec()), (at, manifest("application/wasm", &digest))]).await;
        let error = get(&address, ":1").await.unwrap_err().to_string();
        assert!(error.contains(&digest), "{error}");
    }
}
