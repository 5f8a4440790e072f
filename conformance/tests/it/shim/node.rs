//! A node: a gateway that is managed over a socket, and a real containerd with folders of its own that knows the shim.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use conformance::client::http1::{Plan, exchange};
use conformance::client::unix::ask;
use conformance::target::{Process, Sidecar, free_ports, shim};
use serde_json::Value;
use tempfile::TempDir;

use super::image::image;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub gateway: Sidecar,
    /// Where functions are called.
    port: u16,
    containerd: Process,
    pub folder: TempDir,
}

impl Node {
    /// # Panics
    ///
    /// Without containerd, or without root: `conformance/setup.sh` installs the one, the other is the caller's.
    pub fn start() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "containerd mounts images: these tests need root");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port] = free_ports();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let gateway = Sidecar::builder("node")
            .patience(2 * PATIENCE)
            .argument("--functions-port")
            .argument(port.to_string())
            .argument("--functions-admin-socket")
            .argument(path("admin.sock"))
            .argument("--functions-state")
            .argument(path("functions"))
            .start();
        let config = format!(
            "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\nroot = \"{}\"\nstate = \"{}\"\n[grpc]\naddress = \"{}\"\n",
            path("root"),
            path("state"),
            path("containerd.sock")
        );
        std::fs::write(path("config.toml"), config).expect("a fresh folder");
        let containerd = containerd(folder.path());
        Self { gateway, port, containerd, folder }
    }

    /// Ends containerd, and starts it again; shims go on meanwhile.
    pub fn restart_containerd(&mut self) {
        self.containerd.terminate();
        self.containerd.wait(PATIENCE);
        self.containerd = containerd(self.folder.path());
    }

    fn address(&self) -> String {
        self.folder.path().join("containerd.sock").to_string_lossy().into_owned()
    }

    /// `ctr` with these words, to be run.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.address()]).args(words);
        command
    }

    /// Runs `ctr`.
    pub fn try_ctr(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("ctr starts")
    }

    /// Runs `ctr`, which must succeed; gives what it prints.
    #[track_caller]
    pub fn ctr(&self, words: &[&str]) -> String {
        let output = self.try_ctr(words);
        assert!(output.status.success(), "ctr {words:?}: {}\n{}", text(&output.stderr), self.logs());
        text(&output.stdout)
    }

    /// What `ctr` complains about; it must fail.
    #[track_caller]
    pub fn complaint(&self, words: &[&str]) -> String {
        let output = self.try_ctr(words);
        assert!(!output.status.success(), "ctr {words:?} succeeds: {}", text(&output.stdout));
        text(&output.stderr)
    }

    /// Gives containerd an image with these files.
    pub fn import(&self, name: &str, files: &[(&str, &[u8])]) {
        let path = self.folder.path().join("image.tar");
        std::fs::write(&path, image(name, files)).expect("a fresh file");
        self.ctr(&["image", "import", "--snapshotter", "native", &path.to_string_lossy()]);
    }

    /// The words that run an image in the background, with its output in the file `ID.log`; `more` are flags of
    /// `ctr run`.
    pub fn run_words(&self, image: &str, id: &str, more: &[&str]) -> Vec<String> {
        let log = format!("file://{}", self.log_path(id).display());
        let words = ["run", "-d", "--snapshotter", "native", "--runtime", "io.containerd.ottavo.v2", "--log-uri", &log];
        words.iter().chain(more).chain(&[image, id]).map(|word| (*word).to_owned()).collect()
    }

    /// Runs an image in the background.
    #[track_caller]
    pub fn run(&self, image: &str, id: &str, more: &[&str]) {
        let words = self.run_words(image, id, more);
        self.ctr(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn log_path(&self, id: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{id}.log"))
    }

    /// What a container has written.
    pub fn output(&self, id: &str) -> String {
        std::fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    /// Process id and status of a container's task.
    pub fn task(&self, id: &str) -> Option<(i32, String)> {
        let list = self.ctr(&["task", "ls"]);
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(id))?;
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.to_owned()))
    }

    #[track_caller]
    pub fn wait_for(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "it never came to this: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls a function by its name; status and body.
    pub fn call(&self, name: &str) -> (u16, String) {
        self.get("/", &format!("id: {name}\r\n"))
    }

    /// A GET at the functions' port.
    pub fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        let exchange = exchange(self.port, request.as_bytes(), plan).expect("a connection");
        let answer = exchange.answers.into_iter().next().unwrap_or_else(|| panic!("no answer\n{}", self.logs()));
        (answer.status, text(&answer.body))
    }

    /// A request to the gateway's socket; status and body.
    pub fn admin(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let socket = self.folder.path().join("admin.sock");
        ask(&socket, method, path, body)
    }

    /// Names of the gateway's functions.
    pub fn functions(&self) -> Vec<String> {
        let (_, list) = self.admin("GET", "/wasm/functions", b"");
        let functions = list["functions"].as_array().cloned().unwrap_or_default();
        functions.iter().filter_map(|function| function["name"].as_str().map(str::to_owned)).collect()
    }

    /// What all have logged.
    pub fn logs(&self) -> String {
        format!("-- gateway\n{}\n-- containerd\n{}", self.gateway.log(), self.containerd.log())
    }
}

/// containerd with what [`Node::start`] has put into `folder`.
fn containerd(folder: &Path) -> Process {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let programs = shim().parent().expect("a program is in a folder").to_string_lossy().into_owned();
    let mut command = Command::new("containerd");
    command.args(["--config", &path("config.toml")]);
    command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    command.env("OTTAVO_ADMIN", format!("unix://{}", path("admin.sock")));
    let mut containerd = Process::start(command, Path::new(&path("containerd.log")));
    containerd.wait_until("its API", PATIENCE, || {
        let version = Command::new("ctr").args(["--address", &path("containerd.sock"), "version"]).output();
        version.is_ok_and(|output| output.status.success())
    });
    containerd
}

impl Drop for Node {
    fn drop(&mut self) {
        // Shims outlive containerd: each ends with its last container.
        let containers = text(&self.try_ctr(&["task", "ls", "-q"]).stdout);
        for id in containers.lines() {
            self.try_ctr(&["task", "delete", "--force", id]);
        }
        self.containerd.terminate();
        if !std::thread::panicking() {
            self.containerd.wait(PATIENCE);
        }
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
