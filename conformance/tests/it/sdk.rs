//! Programs of unmodified Dapr SDKs (`conformance/sdk`), each of them an application and its client at a real sidecar.
//!
//! A program prints a line for each fact that it has proven. Here its facts are compared with `facts.txt` beside it, so
//! that a program which skips something fails as well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use conformance::target::{Process, Sidecar, free_ports, test_cache};

/// How long a program may run: a few seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn python() {
    prove("python", &["http", "grpc"], |cache| {
        let mut command = Command::new(cache.join("bin/python"));
        // Without compiled files in the repository.
        command.arg("-B").arg(folder().join("python/main.py"));
        command
    });
}

#[test]
fn javascript() {
    prove("javascript", &["http", "grpc"], |cache| {
        let mut command = Command::new("node");
        // Where the program finds the SDK: it is not installed in the repository.
        command.arg(folder().join("javascript/main.js")).env("NODE_PATH", cache.join("node_modules"));
        command
    });
}

#[test]
fn go() {
    prove("go", &["http", "grpc"], |cache| Command::new(cache.join("program")));
}

#[test]
fn rust() {
    // The SDK serves applications over gRPC only.
    prove("rust", &["grpc"], |cache| Command::new(cache.join("program")));
}

#[test]
fn java() {
    prove("java", &["http", "grpc"], |cache| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{0}/program.jar:{0}/lib/*", cache.display())).arg("ottavo.sdk.Main");
        command
    });
}

/// Runs the program of `language` as an application of each of the protocols, at a sidecar of its own each time.
fn prove(language: &str, protocols: &[&str], command: impl Fn(&Path) -> Command) {
    let cache = test_cache().join("sdk").join(language);
    assert!(cache.join("installed").exists(), "{} is missing: conformance/setup.sh makes it", cache.display());
    for protocol in protocols {
        let [port] = free_ports();
        let app_id = format!("sdk-{language}");
        let mut sidecar = sidecar(&app_id, port, protocol);
        let mut command = command(&cache);
        command
            .current_dir(folder())
            .env("APP_ID", &app_id)
            .env("APP_PORT", port.to_string())
            .env("APP_PROTOCOL", protocol)
            .env("DAPR_HTTP_PORT", sidecar.http.to_string())
            .env("DAPR_GRPC_PORT", sidecar.grpc.to_string());
        let log = tempfile::NamedTempFile::new().expect("a temporary file");
        let mut program = Process::start(command, log.path());
        let status = program.wait(PATIENCE);
        let (said, context) = (program.log(), format!("{language} over {protocol}"));
        assert!(status.success(), "{context}: {status}\n{said}\nThe sidecar:\n{}", sidecar.log());
        let mut proven: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
        proven.sort_unstable();
        let expected = expected(language, protocol);
        let missing: Vec<_> = expected.iter().filter(|fact| !proven.contains(&fact.as_str())).collect();
        assert!(missing.is_empty(), "{context}: not proven, though in facts.txt: {missing:?}");
        assert_eq!(proven, expected, "{context}: more facts than in facts.txt");
        let last = format!("all {} facts hold", proven.len());
        assert!(said.lines().any(|line| line == last), "{context}: does not end with {last:?}\n{said}");
        // The last of the facts is that the sidecar was asked to end.
        assert!(sidecar.wait().is_some_and(|status| status.success()), "{context}: no clean end\n{}", sidecar.log());
    }
}

/// A sidecar with the shared resources. It does not wait for the application, which needs its ports and starts after it.
fn sidecar(app_id: &str, port: u16, protocol: &str) -> Sidecar {
    Sidecar::builder(app_id)
        .directory(&folder())
        .argument("--resources-path")
        .argument(folder().join("resources").to_string_lossy())
        .argument("--app-port")
        .argument(port.to_string())
        .argument("--app-protocol")
        .argument(protocol)
        .start()
}

/// The facts of `facts.txt` for one protocol, sorted.
fn expected(language: &str, protocol: &str) -> Vec<String> {
    let path = folder().join(language).join("facts.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut facts: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(application, _)| ["both", protocol].contains(application))
        .map(|(_, fact)| fact.to_owned())
        .collect();
    facts.sort_unstable();
    facts
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}
