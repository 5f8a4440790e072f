//! What happens on bad input: a table of raw requests and the answers of a real daprd 1.18.2.
//!
//! Rows are data (`rows/*.yaml`), the runner knows nothing of Ottavo: the same table runs against any binary. A row in
//! which Ottavo's answer is better than daprd's says so, with a reason.

mod grpc;
mod http;
pub mod message;
pub mod row;
pub mod text;

use std::path::Path;

use row::{Answer, Row};

use crate::target::{Builder, Sidecar};

/// The files of the table, by the sidecar that they need.
const FILES: &[(&str, &str)] = &[
    ("absent", include_str!("rows/absent.yaml")),
    ("http-framing", include_str!("rows/http-framing.yaml")),
    ("http-headers", include_str!("rows/http-headers.yaml")),
    ("http-blocks", include_str!("rows/http-blocks.yaml")),
    ("http-invoke", include_str!("rows/http-invoke.yaml")),
    ("grpc-framing", include_str!("rows/grpc-framing.yaml")),
    ("grpc-blocks", include_str!("rows/grpc-blocks.yaml")),
];

/// Whose answers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Daprd,
    Ottavo,
}

/// The whole table.
///
/// # Panics
///
/// A file that cannot be read, with its name; two rows of one name.
pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (file, text) in FILES {
        let read: Vec<Row> = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{file}.yaml: {error}"));
        rows.extend(read.into_iter().map(|row| Row { name: format!("{file}: {}", row.name), ..row }));
    }
    for (index, row) in rows.iter().enumerate() {
        assert!(!rows[..index].iter().any(|other| other.name == row.name), "two rows are named {}", row.name);
    }
    rows
}

/// The sidecar of the table: stores, brokers and bindings in memory, low limits, one allowed origin.
pub fn sidecar(binary: Option<&Path>, folder: &Path) -> Builder {
    std::fs::write(folder.join("secrets.json"), r#"{"secret": "value"}"#).expect("a writable folder");
    let secrets = folder.join("secrets.json");
    let builder = Sidecar::builder("wire")
        .resource(include_str!("resources.yaml").replace("{secrets}", &secrets.to_string_lossy()))
        .argument("--allowed-origins")
        .argument("http://good.example")
        .argument("--max-body-size")
        .argument("64Ki")
        .argument("--read-buffer-size")
        .argument("8Ki");
    match binary {
        Some(binary) => builder.binary(binary),
        None => builder,
    }
}

/// What the sidecar answers to a row's request.
///
/// # Errors
///
/// A row that cannot be sent.
pub fn ask(sidecar: &Sidecar, row: &Row) -> Result<Answer, String> {
    match (&row.http, &row.grpc) {
        (Some(request), None) => http::ask(sidecar.http, request),
        (None, Some(call)) => grpc::ask(sidecar.grpc, call),
        _ => Err("a row has one request, of HTTP or of gRPC".to_owned()),
    }
}

/// A row that did not hold.
#[derive(Debug)]
pub struct Difference {
    pub row: String,
    pub wanted: Answer,
    pub got: Answer,
}

/// Asks every row and compares.
///
/// # Panics
///
/// A row that cannot be sent.
pub fn run(sidecar: &Sidecar, rows: &[Row], subject: Subject) -> Vec<Difference> {
    let mut differences = Vec::new();
    for row in rows {
        let got = ask(sidecar, row).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let wanted = row.wanted(subject);
        if !got.is_as(wanted) {
            differences.push(Difference { row: row.name.clone(), wanted: wanted.clone(), got });
        }
    }
    differences
}
