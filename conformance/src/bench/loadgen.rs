//! `conformance loadgen`: the generator by itself.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use http::{HeaderName, HeaderValue, Method, Uri};
use serde_json::Value;

use super::generator::{self, Pace, Plan, Target, Work};

/// What is asked, and how often.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to, for example http://127.0.0.1:3500/v1.0/healthz; TLS is not spoken.
    url: Uri,
    /// The method [default: GET, or POST with a body or with gRPC].
    #[arg(long)]
    method: Option<Method>,
    /// A header, `name: value`; may be given several times.
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The length of a body of any bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    body_size: usize,
    /// A file with the body.
    #[arg(long, value_name = "FILE", conflicts_with = "body_size")]
    body_file: Option<PathBuf>,
    /// The body is a message of gRPC (its prefix is added), and the answer's grpc-status must be 0.
    #[arg(long)]
    grpc: bool,
    /// How many connections.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Exchanges at a time on each connection, over HTTP/2 [default: 4 with gRPC, else HTTP/1.1].
    #[arg(long)]
    streams: Option<usize>,
    /// Exchanges a second, begun on a fixed schedule: an open loop [default: a closed loop, as many as can be].
    #[arg(long)]
    rate: Option<f64>,
    /// How long exchanges begin, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    duration: f64,
    /// The most exchanges.
    #[arg(long)]
    count: Option<u64>,
    /// Connects to this socket in place of the URL's host and port.
    #[arg(long, value_name = "PATH")]
    unix_socket: Option<PathBuf>,
}

/// Runs it, and tells what came of it.
///
/// # Errors
/// What is asked makes no sense, or the body cannot be read.
pub fn run(arguments: &Arguments) -> anyhow::Result<Value> {
    let plan = Plan {
        pace: arguments.rate.map_or(Pace::Closed, Pace::Open),
        duration: Duration::try_from_secs_f64(arguments.duration).context("--duration")?,
        count: arguments.count,
    };
    Ok(generator::run(&work(arguments)?, &target(arguments)?, &plan).json())
}

fn target(arguments: &Arguments) -> anyhow::Result<Target> {
    if let Some(path) = &arguments.unix_socket {
        return Ok(Target::Unix(path.clone()));
    }
    if arguments.url.scheme_str().is_some_and(|scheme| scheme != "http") {
        bail!("the URL must begin with http://");
    }
    let host = arguments.url.host().context("the URL has no host")?;
    let address = (host, arguments.url.port_u16().unwrap_or(80)).to_socket_addrs().context("the URL's host")?.next();
    Ok(Target::Tcp(address.context("the URL's host has no address")?))
}

fn work(arguments: &Arguments) -> anyhow::Result<Work> {
    let body = match &arguments.body_file {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => vec![b'x'; arguments.body_size],
    };
    let path = arguments.url.path_and_query().map_or("/", |path| path.as_str());
    let mut work = if arguments.grpc {
        Work::grpc_encoded(path, &body)
    } else {
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        Work { streams: 0, ..Work::http1(method, path, body.into()) }
    };
    if let Some(method) = &arguments.method {
        work.method = method.clone();
    }
    if work.method == Method::HEAD {
        bail!("answers to HEAD are not understood");
    }
    for header in &arguments.headers {
        let (name, value) = header.split_once(':').with_context(|| format!("--header {header}: no colon"))?;
        let name: HeaderName = name.trim().parse().with_context(|| format!("--header {header}"))?;
        work.headers.insert(name, HeaderValue::try_from(value.trim()).with_context(|| format!("--header {header}"))?);
    }
    work.connections = arguments.connections.max(1);
    work.streams = arguments.streams.unwrap_or(work.streams);
    if arguments.grpc && work.streams == 0 {
        bail!("gRPC needs HTTP/2: --streams 1 or more");
    }
    Ok(work)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &str) -> Arguments {
        Line::try_parse_from(["loadgen"].into_iter().chain(words.split(' '))).unwrap().arguments
    }

    #[test]
    fn a_body_is_posted_and_a_message_goes_over_http2() {
        let get = work(&parse("http://localhost/a?b --header X-Y:z --connections 3")).unwrap();
        assert_eq!((get.method, get.path.as_str(), get.connections, get.streams), (Method::GET, "/a?b", 3, 0));
        assert_eq!(get.headers["x-y"], "z");
        let post = work(&parse("http://localhost/ --body-size 9 --streams 2")).unwrap();
        assert_eq!((post.method, post.body.len(), post.streams), (Method::POST, 9, 2));
        let grpc = work(&parse("http://localhost/S/M --grpc --body-size 9")).unwrap();
        assert_eq!((grpc.method, grpc.body.len(), grpc.streams), (Method::POST, 14, 4));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_says_why() {
        let why = |words: &str| format!("{:#}", run(&parse(words)).unwrap_err());
        assert!(why("http://localhost/ --grpc --streams 0").contains("HTTP/2"));
        assert!(why("http://localhost/ --header nothing").contains("no colon"));
        assert!(why("https://localhost/").contains("http://"));
        assert!(why("http://localhost/ --body-file /nonexistent/file").contains("/nonexistent/file"));
    }

    #[test]
    fn a_socket_is_taken_in_place_of_the_host() {
        let arguments = parse("http://localhost/ --unix-socket socket");
        assert_eq!(target(&arguments).unwrap(), Target::Unix("socket".into()));
        assert_eq!(target(&parse("http://127.0.0.1:81/")).unwrap(), Target::port(81));
    }
}
