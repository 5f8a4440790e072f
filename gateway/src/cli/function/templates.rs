//! The templates of `ottavo function new`, as they lie in `gateway/templates`.

use clap::ValueEnum;

/// Languages that there is a template for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust (target wasm32-wasip1)
    #[value(alias = "rs")]
    Rust,
    /// Go, its own compiler, 1.24 or later
    #[value(alias = "golang")]
    Go,
    /// JavaScript, with an engine in the module; needs Node.js
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    /// AssemblyScript, a TypeScript for WebAssembly; needs Node.js
    #[value(name = "as", alias = "assemblyscript")]
    AssemblyScript,
}

/// What calls a new function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Trigger {
    /// Requests to /NAME
    Http,
    /// Messages of the topic NAME
    Topic,
    /// Every minute
    Cron,
}

/// What the templates call the function, as a name and within identifiers.
const NAME: &str = "my-function";
const IDENTIFIER: &str = "my_function";

/// The trigger of the templates' manifests.
const HTTP: &str = "- http: {path: /my-function, method: [GET, POST]}";

/// One file: its path within the folder, its text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../templates/", $folder, "/", $path)))),+]
    };
}

const RUST: &[File] = files!("rust":
    ".gitignore", "Cargo.toml", "README.md", "function.yaml", "src/lib.rs", "src/ottavo/fake.rs",
    "src/ottavo/guest.rs", "src/ottavo/mod.rs",
);

const GO: &[File] = files!("go":
    ".gitignore", "README.md", "function.go", "function.yaml", "function_test.go", "go.mod", "ottavo/fake.go",
    "ottavo/guest.go", "ottavo/ottavo.go",
);

const ASSEMBLYSCRIPT: &[File] = files!("assemblyscript":
    ".gitignore", "README.md", "assembly/function.ts", "assembly/index.ts", "assembly/ottavo.ts",
    "assembly/tsconfig.json", "function.yaml", "package.json", "tests/function.test.js", "tests/sidecar.js",
);

const JAVASCRIPT: &[File] = files!("javascript":
    ".gitignore", "README.md", "build.js", "function.yaml", "package.json", "src/function.js", "tests/function.test.js",
    "tests/sidecar.js", "wit/deps/http/http.wit", "wit/deps/keyvalue/keyvalue.wit", "wit/function.wit",
);

impl Language {
    fn template(self) -> &'static [File] {
        match self {
            Self::Rust => RUST,
            Self::Go => GO,
            Self::JavaScript => JAVASCRIPT,
            Self::AssemblyScript => ASSEMBLYSCRIPT,
        }
    }

    /// The files of a new function: paths and texts.
    pub fn files(self, name: &str, trigger: Trigger) -> impl Iterator<Item = (&'static str, String)> {
        let trigger = match trigger {
            Trigger::Http => HTTP.to_owned(),
            Trigger::Topic => format!("- topic: {{pubsub: pubsub, topic: {NAME}}}"),
            Trigger::Cron => "- cron: '@every 1m'".to_owned(),
        };
        let identifier = name.replace('-', "_");
        let name = name.to_owned();
        self.template().iter().map(move |(path, text)| {
            let text = text.replace(HTTP, &trigger).replace(IDENTIFIER, &identifier).replace(NAME, &name);
            (*path, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn paths(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                paths(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_folders_is_in_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for language in Language::value_variants() {
            let name = format!("{language:?}").to_lowercase();
            let mut found = BTreeSet::new();
            paths(&folder.join(&name), "", &mut found);
            let known: BTreeSet<String> = language.template().iter().map(|(path, _)| (*path).to_owned()).collect();
            assert_eq!(known, found, "{name}");
        }
    }

    #[test]
    fn names_and_triggers_are_put_in() {
        for language in Language::value_variants() {
            for trigger in Trigger::value_variants() {
                let files: Vec<_> = language.files("greeter-2", *trigger).collect();
                let manifest = &files.iter().find(|(path, _)| *path == "function.yaml").unwrap().1;
                let line = match trigger {
                    Trigger::Http => "  - http: {path: /greeter-2, method: [GET, POST]}\n",
                    Trigger::Topic => "  - topic: {pubsub: pubsub, topic: greeter-2}\n",
                    Trigger::Cron => "  - cron: '@every 1m'\n",
                };
                assert!(manifest.contains(line), "{manifest}");
                for (path, text) in files {
                    assert!(!text.contains(NAME) && !text.contains(IDENTIFIER), "{path}: {text}");
                }
            }
        }
    }
}
