//! The order of the modules of this crate: each group uses only itself and the groups after it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// From the top: ARCHITECTURE.md has the same list.
const ORDER: [&[&str]; 6] = [
    &["cli", "lifecycle"],
    &["server", "layers", "http", "grpc", "functions", "guest"],
    &["runtime", "catalog"],
    &["blocks", "inbound"],
    &["resiliency", "app", "pipeline", "loaded", "client"],
    &[
        "operation",
        "error",
        "json",
        "body",
        "merged",
        "query",
        "sniff",
        "expression",
        "telemetry",
        "config",
        "workers",
        "memory",
        "coalesce",
    ],
];

fn group(module: &str) -> Option<usize> {
    ORDER.iter().position(|modules| modules.contains(&module))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every `crate::<module>` of a text, with the line it is in; comments do not count.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, word) in code.match_indices("crate::") {
            if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
                continue;
            }
            let rest = &code[at + word.len()..];
            let module: String = rest.chars().take_while(|&c| c.is_ascii_lowercase() || c == '_').collect();
            if !module.is_empty() {
                found.push((number + 1, module));
            }
        }
    }
    found
}

#[test]
fn modules_use_only_their_own_group_and_those_below() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in &all {
        let relative = path.strip_prefix(&source).expect("a file below src");
        let first = relative.components().next().expect("a path").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = group(&module) else {
            wrong.push(format!("{}: `{module}` has no place in the order", relative.display()));
            continue;
        };
        seen.insert(module);
        for (line, used) in uses(&std::fs::read_to_string(path).expect("a text")) {
            if group(&used).is_some_and(|other| other < own) {
                wrong.push(format!("{}:{line}: uses `{used}`, which is above it", relative.display()));
            }
        }
    }
    for module in ORDER.iter().flat_map(|modules| modules.iter()) {
        if !seen.contains(*module) {
            wrong.push(format!("`{module}` is in the order, but not in src"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn uses_in_code_are_found_and_comments_are_not() {
    let text = "use crate::http::{a, b};\n/// [`crate::cli`]\nlet x = crate::error::y(); // crate::grpc\nmycrate::z";
    assert_eq!(uses(text), [(1, "http".to_owned()), (3, "error".to_owned())]);
}
