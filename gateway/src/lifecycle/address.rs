//! Where this sidecar can be reached: host address and internal port (as daprd 1.18).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::config::Environment;

/// The lowest stable port; 65535 is the highest.
const FIRST_PORT: u16 = 47300;

/// `DAPR_HOST_IP`, else the address that packets to the outside would leave from, else loopback.
pub fn host_address(environment: &Environment, internal_listen: &str) -> String {
    let is_loopback = matches!(internal_listen, "127.0.0.1" | "localhost" | "[::1]" | "::1");
    if is_loopback {
        return if internal_listen == "localhost" { "127.0.0.1".to_owned() } else { internal_listen.to_owned() };
    }
    if let Some(given) = environment.non_empty("DAPR_HOST_IP") {
        return given.to_owned();
    }
    // No packet is sent: connecting a datagram socket only picks a route.
    let outside = ["192.0.2.1:80", "[2001:db8::1]:80"];
    outside.iter().find_map(|target| local_address(target)).map_or_else(
        || "127.0.0.1".to_owned(),
        |address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        },
    )
}

/// The machine's name; empty when it has none.
pub fn host_name() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

fn local_address(target: &str) -> Option<IpAddr> {
    let target: SocketAddr = target.parse().ok()?;
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_unspecified())
}

/// The port that this app in this folder gets each time, unless it is taken: so that peers which remember it find it
/// again after a restart.
pub fn stable_port(app_id: &str) -> u16 {
    let folder = std::env::current_dir().unwrap_or_default();
    let host = nix::unistd::gethostname().unwrap_or_default();
    let identity = format!("{app_id}|{}|{}|{}", folder.display(), nix::unistd::getuid(), host.to_string_lossy());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, identity.as_bytes());
    let bytes = digest.as_ref();
    FIRST_PORT + u16::from_le_bytes([bytes[0], bytes[1]]) % (u16::MAX - FIRST_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_listeners_advertise_loopback() {
        let environment = Environment::new([("DAPR_HOST_IP", "10.1.2.3")]);
        assert_eq!(host_address(&environment, "127.0.0.1"), "127.0.0.1");
        assert_eq!(host_address(&environment, ""), "10.1.2.3");
    }

    #[test]
    fn the_port_is_stable_and_in_range() {
        assert_eq!(stable_port("a"), stable_port("a"));
        assert!(stable_port("a") >= FIRST_PORT);
    }
}
