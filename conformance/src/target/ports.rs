//! Free ports of the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

/// `N` different ports that nothing listens on now.
///
/// They are below the range from which the system gives ports to outgoing connections, so that none is taken by one
/// between this call and the start of who asked.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let lowest_ephemeral = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse::<u16>().ok())
        .unwrap_or(32768);
    let (first, span) = (10_000_u16, lowest_ephemeral.saturating_sub(10_000).max(1));
    let mut listeners: Vec<TcpListener> = Vec::with_capacity(N);
    // Different programs begin at different places.
    let mut next = std::process::id().wrapping_mul(7919) ^ nanoseconds();
    for _ in 0..100_000 {
        if listeners.len() == N {
            break;
        }
        next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let port = first + u16::try_from((next >> 8) % u32::from(span)).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            listeners.push(listener);
        }
    }
    assert_eq!(listeners.len(), N, "not enough free ports");
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().expect("a bound listener").port();
    }
    ports
}

fn nanoseconds() -> u32 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos())
}
