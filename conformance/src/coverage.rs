//! Which operations have a case: read from the golden cases, the wire table, and a list of what is answered as absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use gateway::catalog::{Access, ROWS, SERVICE};
use gateway::http::router::{Router, Target};
use http::Method;
use serde_json::Value;

use crate::wire;

/// Rpcs of blocks that are not implemented yet: calls with an empty message must be answered so (gRPC code, message).
/// An rpc that gets its block answers otherwise, and must leave this list for the cases.
#[rustfmt::skip]
pub const ABSENT: &[(&str, i32, &str)] = &[
    ("GetActorTimer", 14, "placement service is not configured"),
    ("ListIndexesAlpha1", 9, "search store is not configured"),
    ("GetDocumentsAlpha1", 9, "search store is not configured"),
    ("CreateCollectionAlpha1", 9, "vector store is not configured"),
    ("DeleteCollectionAlpha1", 9, "vector store is not configured"),
    ("GetVectorsAlpha1", 9, "vector store is not configured"),
    ("SetBinaryFileAlpha1", 9, "binary_file store is not configured"),
    ("DeleteBinaryFileAlpha1", 9, "binary_file store is not configured"),
];

/// Rpcs that end the sidecar, which tests of their own call.
pub const ELSEWHERE: &[&str] = &["Shutdown"];

/// The requests of all cases.
#[derive(Debug, Default)]
pub struct Cases {
    /// Names of methods of the Dapr service.
    pub rpcs: BTreeSet<String>,
    /// Operation and version of the API.
    pub routes: BTreeSet<(String, String)>,
}

impl Cases {
    /// Of the golden cases in `folder` and of the wire table.
    ///
    /// # Panics
    ///
    /// A file that cannot be read.
    pub fn read(folder: &Path) -> Self {
        let mut cases = Self::default();
        let router = Router::new(&Access::default());
        for entry in std::fs::read_dir(folder).expect("a folder of cases") {
            let path = entry.expect("a readable folder").path();
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let file: Value =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let steps = file["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
            for step in steps {
                if let Some(method) = step["grpc"]["method"].as_str() {
                    cases.rpc(method);
                }
                if let Some(path) = step["http"]["path"].as_str() {
                    cases.route(&router, step["http"]["method"].as_str().unwrap_or("GET"), path);
                }
            }
        }
        for row in wire::rows() {
            if let Some(call) = &row.grpc {
                cases.rpc(&call.method);
            }
            if let Some(request) = &row.http {
                let method = if request.method.is_empty() { "GET" } else { &request.method };
                cases.route(&router, method, &request.path);
            }
        }
        cases
    }

    fn rpc(&mut self, method: &str) {
        let name = method.trim_start_matches('/');
        let name = name.strip_prefix(SERVICE).map_or(name, |name| name.trim_start_matches('/'));
        self.rpcs.insert(name.to_owned());
    }

    fn route(&mut self, router: &Router, method: &str, path: &str) {
        let path = path.split('?').next().unwrap_or_default();
        let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
        if let Target::Route(found) = router.find(&method, path) {
            let version = path.trim_start_matches('/').split('/').next().unwrap_or_default();
            self.routes.insert((found.row.operation.to_owned(), version.to_owned()));
        }
    }
}

/// Operations by route and rpcs that no case asks for; `skipped` are rpcs that need none.
pub fn missing(cases: &Cases, skipped: &BTreeSet<&str>) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut missing: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for row in ROWS {
        let rpcs = row.grpc.iter().map(|(method, _)| *method);
        let is_skipped = rpcs.clone().next().is_some() && rpcs.clone().all(|method| skipped.contains(method));
        for method in rpcs.filter(|method| !skipped.contains(method) && !cases.rpcs.contains(*method)) {
            missing.entry(row.operation).or_default().insert(format!("rpc {method}"));
        }
        for route in row.http {
            let version = route.version.path();
            if !is_skipped && !cases.routes.contains(&(row.operation.to_owned(), version.to_owned())) {
                missing.entry(row.operation).or_default().insert(format!("{version}/{}", route.path));
            }
        }
    }
    missing
}
