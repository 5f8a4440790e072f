//! A function developer's day with the built program: a template, its own tests, a build, calls; in each language.

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::target::ottavo;
use tempfile::TempDir;

/// A function's folder, and one for the data of its calls.
struct Function {
    folder: PathBuf,
    whole: TempDir,
}

struct Outcome {
    is_success: bool,
    output: String,
    errors: String,
}

impl Function {
    fn new(language: &str, trigger: &str) -> Self {
        let whole = tempfile::tempdir().expect("a temporary folder");
        let folder = whole.path().join("greeter");
        let function = Self { folder: whole.path().to_owned(), whole };
        function.does(&["new", "greeter", "--lang", language, "--trigger", trigger]);
        Self { folder, ..function }
    }

    fn run(&self, words: &[&str]) -> Outcome {
        let mut command = Command::new(ottavo());
        command.arg("function").args(words).current_dir(&self.folder).env("XDG_STATE_HOME", self.whole.path());
        // The function's own compilers know nothing of the compiler of this test.
        command.env_remove("CARGO_TARGET_DIR");
        let output = command.output().expect("ottavo starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (output, errors, status) = (text(&output.stdout), text(&output.stderr), output.status);
        Outcome { is_success: status.success(), output, errors }
    }

    /// Runs what must succeed; gives its output.
    fn does(&self, words: &[&str]) -> String {
        let Outcome { is_success, output, errors } = self.run(words);
        assert!(is_success, "ottavo function {words:?}:\n{output}\n{errors}");
        output
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the template");
        assert!(text.contains(from), "{file} has no '{from}':\n{text}");
        std::fs::write(&path, text.replace(from, to)).expect("a writable file");
    }

    /// From the template to answers.
    fn proves_itself(&self) {
        self.does(&["test"]);
        let built = self.does(&["build"]);
        assert!(built.contains("greeter.wasm\n  kind     "), "{built}");
        assert!(!built.contains("  note     "), "what the template calls is granted: {built}");
        assert_eq!(self.does(&["invoke", "--path", "/greeter"]), "GET /greeter: call 1\n");
        let answer = self.does(&["invoke", "--path", "/greeter", "--data", "hello", "--include"]);
        assert!(answer.starts_with("HTTP 200 OK\n") && answer.ends_with("\n\nPOST /greeter: call 2\n"), "{answer}");
        // What is not granted is refused.
        self.edit("function.yaml", "state: [statestore]", "state: ['statestore:read']");
        let refused = self.run(&["invoke"]);
        assert!(!refused.is_success, "{}", refused.output);
        assert!(refused.errors.contains("the function answered 500"), "{}", refused.errors);
    }

    /// After [`Function::proves_itself`]: the log has the line to add.
    fn is_told_what_to_add(&self) {
        let refused = self.run(&["invoke"]);
        assert!(refused.errors.contains(r#"add `state: ["statestore"]` to its `grants`"#), "{}", refused.errors);
    }
}

#[test]
fn rust() {
    let function = Function::new("rust", "http");
    function.proves_itself();
    function.is_told_what_to_add();
}

#[test]
fn go() {
    let function = Function::new("go", "http");
    function.proves_itself();
    function.is_told_what_to_add();
}

#[test]
fn javascript() {
    Function::new("js", "http").proves_itself();
}

#[test]
fn assemblyscript() {
    let function = Function::new("as", "http");
    function.proves_itself();
    function.is_told_what_to_add();
}

#[test]
fn a_topics_message_reaches_the_function_as_a_request() {
    let function = Function::new("as", "topic");
    function.does(&["build"]);
    assert_eq!(function.does(&["invoke", "--topic", "greeter", "--data", r#"{"id": 7}"#]), "POST /greeter: call 1\n");
    let other = function.run(&["invoke", "--topic", "other"]);
    assert!(other.errors.contains("no trigger takes the topic 'other'"), "{}", other.errors);
}

#[test]
fn a_function_is_put_into_a_folder_and_taken_out_again() {
    let function = Function::new("as", "http");
    function.does(&["build"]);
    let resources = function.whole.path().join("resources");
    let place = resources.to_string_lossy().into_owned();
    function.does(&["deploy", "--to", &place]);
    assert!(is_there(&resources, "greeter.yaml") && is_there(&resources, "greeter.wasm"));
    function.does(&["remove", "greeter", "--from", &place]);
    assert!(!is_there(&resources, "greeter.yaml") && !is_there(&resources, "greeter.wasm"));
}

fn is_there(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}
