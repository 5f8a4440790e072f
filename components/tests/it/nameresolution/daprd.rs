//! mDNS with a real daprd, both ways. The variable `DAPRD` names its binary.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::mdns::start;
use super::{app_id, resolve};
use crate::fixtures::eventually;
use crate::servers::{folder, free_port};

struct Daprd {
    child: Child,
    http: u16,
    internal: u16,
    _folder: tempfile::TempDir,
}

impl Daprd {
    fn start(app_id: &str) -> Self {
        let (http, internal, folder) = (free_port(), free_port(), folder());
        let daprd = std::env::var_os("DAPRD").expect("DAPRD names a daprd binary");
        let child = Command::new(daprd)
            .args(["--app-id", app_id, "--dapr-listen-addresses", "127.0.0.1"])
            .args(["--dapr-http-port", &http.to_string(), "--dapr-internal-grpc-port", &internal.to_string()])
            .args(["--dapr-grpc-port", &free_port().to_string(), "--metrics-port", &free_port().to_string()])
            .args(["--resources-path", folder.path().to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("daprd starts");
        Self { child, http, internal, _folder: folder }
    }
}

impl Drop for Daprd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs a daprd"]
async fn daprd_is_found_and_lost() {
    let (caller, callee) = (app_id(), app_id());
    let resolver = start(&caller, free_port());
    let mut daprd = Daprd::start(&callee);
    eventually("daprd is found", || async {
        resolve(&resolver, &callee).await.is_some_and(|found| found[0].ends_with(&format!(":{}", daprd.internal)))
    })
    .await;
    // In order, so that it says goodbye.
    Command::new("kill").arg(daprd.child.id().to_string()).status().unwrap();
    let _ = daprd.child.wait();
    eventually("its goodbye is heard", || async { resolve(&resolver, &callee).await.is_none() }).await;
}

// curl blocks its thread, and the answer has to come from another.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a daprd"]
async fn daprd_finds_us() {
    let (caller, callee) = (app_id(), app_id());
    let daprd = Daprd::start(&caller);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let _sidecar = start(&callee, listener.local_addr().unwrap().port());
    // It dials the address that it found; there is nobody to speak to, but the call arrives.
    eventually("daprd dials", || async {
        let url = format!("http://127.0.0.1:{}/v1.0/invoke/{callee}/method/x", daprd.http);
        let answer = Command::new("curl").args(["-s", "-m", "3", &url]).output().expect("curl");
        println!("{}", String::from_utf8_lossy(&answer.stdout));
        listener.accept().is_ok()
    })
    .await;
}
