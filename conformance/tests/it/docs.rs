//! The examples of `docs/` and of the README do what the page says.
//!
//! A page's blocks ```` ```yaml resource ```` are its resources and ```` ```json secrets ```` its `secrets.json`;
//! ```` ```wat module NAME ```` is compiled to the file NAME of the working directory; each ```` ```sh run ````
//! runs beside `ottavo run` with those, in the page's order, and prints what the ```` ```text ```` block behind it holds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conformance::target::ottavo;

struct Block {
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut open): (Vec<Block>, bool) = (Vec::new(), false);
    for line in page.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(info), false) => {
                found.push(Block { info: info.trim().to_owned(), text: String::new() });
                open = true;
            }
            (Some(_), true) => open = false,
            (None, true) => {
                if let Some(block) = found.last_mut() {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
            }
            (None, false) => {}
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs")).expect("the folder of pages");
    let mut pages: Vec<PathBuf> = docs.map(|entry| entry.expect("a readable entry").path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

/// Runs a page's examples; gives how many there were.
fn check(page: &Path) -> usize {
    let text = std::fs::read_to_string(page).expect("a readable page");
    let blocks = blocks(&text);
    let name = page.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (resources, data) = (folder.path().join("resources"), folder.path().join("data"));
    std::fs::create_dir_all(&resources).expect("a fresh folder");
    std::fs::create_dir_all(&data).expect("a fresh folder");
    let mut script = "set -e\n".to_owned();
    let mut expected = Vec::new();
    let mut configuration = None;
    for (number, block) in blocks.iter().enumerate() {
        match block.info.as_str() {
            "yaml resource" => {
                std::fs::write(resources.join(format!("{number:02}.yaml")), &block.text).expect("a fresh file");
            }
            "yaml configuration" => {
                let path = folder.path().join("configuration.yaml");
                std::fs::write(&path, &block.text).expect("a fresh file");
                configuration = Some(path);
            }
            module if module.starts_with("wat module ") => {
                let bytes = wat::parse_str(&block.text).unwrap_or_else(|error| panic!("{name}: {error}"));
                std::fs::write(folder.path().join(&module["wat module ".len()..]), bytes).expect("a fresh file");
            }
            "json secrets" => std::fs::write(data.join("secrets.json"), &block.text).expect("a fresh file"),
            "sh run" => {
                let output = folder.path().join(format!("{number:02}.out"));
                script.push_str(&format!("(\n{}) > {}\n", block.text, output.display()));
                let answer = blocks.get(number + 1).filter(|next| next.info == "text").map(|next| next.text.clone());
                expected.push((output, block.text.clone(), answer.unwrap_or_default()));
            }
            _ => {}
        }
    }
    if expected.is_empty() {
        return 0;
    }
    let mut command = Command::new(ottavo());
    command.args(["run", "--app-id", "docs", "--log-level", "warn", "--data-dir"]).arg(&data);
    command.arg("--resources-path").arg(&resources);
    if let Some(path) = configuration {
        command.arg("--config").arg(path);
    }
    let output = command
        .args(["--", "sh", "-c", &script])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("ottavo starts");
    let log = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for (path, example, answer) in &expected {
        let got = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(got.trim_end(), answer.trim_end(), "{name}: this example gives another answer:\n{example}\n{log}");
    }
    assert!(output.status.success(), "{name}: {}\n{log}", output.status);
    expected.len()
}

#[test]
fn the_examples_of_every_page_give_the_answers_that_it_shows() {
    let total: usize = pages().iter().map(|page| check(page)).sum();
    assert!(total >= 10, "only {total} examples were found: is their form still the same?");
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let others = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "conformance/PARITY.md"];
    let mut broken = Vec::new();
    for page in pages().into_iter().chain(others.iter().map(|name| root.join(name))) {
        let text = std::fs::read_to_string(&page).expect("a readable page");
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") {
                continue;
            }
            if !page.parent().expect("a page is in a folder").join(path).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
