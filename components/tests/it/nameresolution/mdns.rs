//! mDNS alone, also on a machine with nothing but a loopback interface.

use std::process::Command;
use std::sync::Arc;

use components::nameresolution::Resolver;
use components::nameresolution::mdns::Mdns;

use super::{app_id, resolve, run};
use crate::fixtures::{context, eventually};

pub fn start(app_id: &str, port: u16) -> Mdns {
    let mut context = context(app_id);
    context.instance.internal_port = port;
    Mdns::start(&context).expect("mDNS works")
}

#[tokio::test]
async fn sidecars_meet_on_the_network() {
    run(async |app_id, port| Arc::new(start(&app_id, port)) as Arc<dyn Resolver>).await;
}

#[tokio::test]
async fn a_dead_address_is_not_offered_before_it_is_heard_again() {
    let (caller, callee) = (app_id(), app_id());
    let resolver = start(&caller, 40011);
    let sidecar = start(&callee, 40012);
    assert!(resolve(&resolver, &callee).await.is_some());
    // It is alive, so it answers anew: being forgotten is no ban.
    resolver.forget(&callee, "127.0.0.1:40012");
    assert!(resolve(&resolver, &callee).await.is_some());
    sidecar.unregister().await;
    eventually("the goodbye is heard", || async { resolve(&resolver, &callee).await.is_none() }).await;
}

#[tokio::test]
async fn an_instance_needs_a_name_an_address_and_a_port() {
    let error = |change: fn(&mut components::InitContext)| {
        let mut context = context("app");
        change(&mut context);
        Mdns::start(&context).err().expect("refused").message().to_owned()
    };
    assert_eq!(error(|context| context.app_id.clear()), "name is missing");
    assert_eq!(error(|context| context.instance.address.clear()), "address is missing");
    assert_eq!(error(|context| context.instance.internal_port = 0), "port is missing or invalid");
}

/// Runs the cases above in a network of its own that has nothing but `lo`, where the system lets us make one.
#[tokio::test]
async fn a_loopback_interface_is_enough() {
    let isolated = |command: &str| {
        Command::new("unshare").args(["--user", "--map-root-user", "--net", "sh", "-c", command]).output()
    };
    if !isolated("ip link set lo up").is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system lets nobody make a network (unshare --net)");
        return;
    }
    let test = std::env::current_exe().expect("this test");
    let test = test.to_str().expect("a plain path");
    let command = format!("ip link set lo up && '{test}' --exact nameresolution::mdns::sidecars_meet_on_the_network");
    let output = isolated(&command).expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
