//! Servers from Debian's packages, each on a free port with a folder of its own; they end with their value.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
    arguments: Vec<String>,
    program: &'static str,
}

impl Server {
    /// Starts `program` and waits until it listens on `port`.
    fn start(program: &'static str, port: u16, folder: TempDir, arguments: Vec<String>) -> Self {
        let child = spawn(program, folder.path(), &arguments);
        let mut server = Self { child, port, folder, arguments, program };
        server.wait_until_listening();
        server
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the server at once, as a crash would.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again on the same port and folder.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.program, self.folder.path(), &self.arguments);
        self.wait_until_listening();
    }

    fn wait_until_listening(&mut self) {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status}:\n{}", self.program, log());
            }
            assert!(start.elapsed() < PATIENCE, "{} does not listen:\n{}", self.program, log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &str, folder: &Path, arguments: &[String]) -> Child {
    let log = std::fs::File::options().append(true).create(true).open(folder.join("log")).expect("a log file");
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} does not start (is its Debian package installed?): {error}"))
}

/// A Redis server; `more` are further arguments.
pub fn redis(more: &[&str]) -> Server {
    let port = free_port();
    redis_on(port, folder(), more)
}

fn redis_on(port: u16, folder: TempDir, more: &[&str]) -> Server {
    let mut arguments = vec!["--port".to_owned(), port.to_string()];
    arguments.extend(
        ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", ".", "--repl-diskless-sync-delay", "0"]
            .map(str::to_owned),
    );
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    Server::start("redis-server", port, folder, arguments)
}

/// A Redis server that speaks TLS only and asks its clients for a certificate; with the certificate and key (PEM) that
/// it accepts, which are its own too.
pub fn redis_tls() -> (Server, String, String) {
    let (port, folder) = (free_port(), folder());
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder.path())
        .output()
        .expect("the openssl package");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it was just made");
    let (certificate, key) = (read("cert.pem"), read("key.pem"));
    let tls_port = port.to_string();
    let arguments = ["--port", "0", "--tls-port", &tls_port, "--bind", "127.0.0.1", "--save", "", "--dir", "."];
    let files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem"];
    let arguments = arguments.into_iter().chain(files).map(str::to_owned).collect();
    (Server::start("redis-server", port, folder, arguments), certificate, key)
}

/// A cluster of three Redis servers that share the slots.
pub fn redis_cluster() -> Vec<Server> {
    let nodes: Vec<Server> = (0..3)
        .map(|_| {
            // The bus port is the port and 10000.
            let port = std::iter::repeat_with(free_port).find(|port| *port < 55_000).expect("endless");
            redis_on(port, folder(), &["--cluster-enabled", "yes", "--cluster-node-timeout", "500"])
        })
        .collect();
    let ranges = ["0 5460", "5461 10922", "10923 16383"];
    for (node, range) in nodes.iter().zip(ranges) {
        redis_cli(node, &format!("CLUSTER ADDSLOTSRANGE {range}"));
        redis_cli(&nodes[0], &format!("CLUSTER MEET 127.0.0.1 {}", node.port));
    }
    let start = Instant::now();
    while !nodes.iter().all(|node| redis_cli(node, "CLUSTER INFO").contains("cluster_state:ok"))
        || !nodes.iter().all(|node| redis_cli(node, "CLUSTER INFO").contains("cluster_known_nodes:3"))
    {
        assert!(start.elapsed() < PATIENCE, "the cluster does not form");
        std::thread::sleep(Duration::from_millis(20));
    }
    nodes
}

/// A Redis server and a sentinel that watches it as `primary`.
pub fn redis_sentinel() -> (Server, Server) {
    let server = redis(&[]);
    let (port, folder) = (free_port(), folder());
    let config = format!("port {port}\nbind 127.0.0.1\nsentinel monitor primary 127.0.0.1 {} 1\n", server.port);
    std::fs::write(folder.path().join("sentinel.conf"), config).expect("a configuration");
    let arguments = vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()];
    (server, Server::start("redis-server", port, folder, arguments))
}

/// An etcd server.
pub fn etcd() -> Server {
    let (port, peer_port, folder) = (free_port(), free_port(), folder());
    let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
    let arguments = [
        ("--data-dir", "data"),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &format!("default={peer}")),
        ("--unsafe-no-fsync", "true"),
        // Leases cannot be shorter than one and a half elections.
        ("--heartbeat-interval", "50"),
        ("--election-timeout", "250"),
    ];
    let arguments = arguments.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    Server::start("etcd", port, folder, arguments)
}

/// Runs a command on a Redis server.
pub fn redis_cli(server: &Server, command: &str) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &server.port.to_string()])
        .args(command.split(' '))
        .output()
        .expect("redis-cli of the package redis-tools");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}
