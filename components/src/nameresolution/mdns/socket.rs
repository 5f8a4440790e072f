//! Multicast sockets: one for IPv4 and one for IPv6, members of the group on every interface.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Mutex;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::packet::PORT;
use crate::task::lock;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// The largest packet that mDNS allows.
const LARGEST: usize = 9000;

/// The sockets of a responder.
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// The interfaces that the sockets are members on.
    joined: Mutex<HashSet<Interface>>,
    /// Held from choosing the interface of a packet to sending it.
    sending: tokio::sync::Mutex<()>,
}

/// An interface with one of its addresses; an IPv6 interface is known by its number only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Interface {
    V4(Ipv4Addr),
    V6(u32),
}

/// Space for what is received.
pub(super) struct Buffers {
    v4: Box<[u8; LARGEST]>,
    v6: Box<[u8; LARGEST]>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { v4: Box::new([0; LARGEST]), v6: Box::new([0; LARGEST]) }
    }
}

impl Sockets {
    /// Opens what can be opened; fails when no interface can be used at all.
    pub(super) fn open() -> io::Result<Self> {
        let v4 = bind(Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        let v6 = bind(Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)));
        let failure = v4.as_ref().err().map(|error| io::Error::new(error.kind(), format!("UDP port {PORT}: {error}")));
        let sockets =
            Self { v4: v4.ok(), v6: v6.ok(), joined: Mutex::default(), sending: tokio::sync::Mutex::default() };
        sockets.follow_interfaces();
        if lock(&sockets.joined).is_empty() {
            return Err(failure.unwrap_or_else(|| io::Error::other("no network interface takes part in multicast")));
        }
        Ok(sockets)
    }

    /// Joins the group on interfaces that came since the last time.
    pub(super) fn follow_interfaces(&self) {
        let interfaces = match interfaces() {
            Ok(interfaces) => interfaces,
            Err(error) => return tracing::debug!("mDNS: the network interfaces cannot be listed: {error}"),
        };
        let mut joined = lock(&self.joined);
        joined.retain(|interface| interfaces.contains(interface));
        for interface in interfaces {
            if joined.contains(&interface) {
                continue;
            }
            let result = match (interface, &self.v4, &self.v6) {
                (Interface::V4(address), Some(socket), _) => {
                    SockRef::from(socket).join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Address(address))
                }
                (Interface::V6(index), _, Some(socket)) => SockRef::from(socket).join_multicast_v6(&GROUP_V6, index),
                _ => continue,
            };
            match result {
                Ok(()) => drop(joined.insert(interface)),
                // A member already: the interface has a second address.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => drop(joined.insert(interface)),
                Err(error) => tracing::debug!("mDNS: {interface:?} does not take part: {error}"),
            }
        }
    }

    /// Sends to the group, on each interface.
    pub(super) async fn send_to_all(&self, datagram: &[u8]) {
        let interfaces: Vec<Interface> = lock(&self.joined).iter().copied().collect();
        let _sending = self.sending.lock().await;
        for interface in interfaces {
            let result = match (interface, &self.v4, &self.v6) {
                (Interface::V4(address), Some(socket), _) => {
                    match SockRef::from(socket).set_multicast_if_v4(&address) {
                        Ok(()) => socket.send_to(datagram, (GROUP_V4, PORT)).await,
                        Err(error) => Err(error),
                    }
                }
                (Interface::V6(index), _, Some(socket)) => {
                    socket.send_to(datagram, SocketAddrV6::new(GROUP_V6, PORT, 0, index)).await
                }
                _ => continue,
            };
            if let Err(error) = result {
                tracing::debug!("mDNS: nothing was sent by {interface:?}: {error}");
            }
        }
    }

    /// Sends to one host.
    pub(super) async fn send(&self, datagram: &[u8], to: SocketAddr) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        if let Some(socket) = socket
            && let Err(error) = socket.send_to(datagram, to).await
        {
            tracing::debug!("mDNS: nothing was sent to {to}: {error}");
        }
    }

    /// The next packet, and who sent it.
    pub(super) async fn receive(&self, buffers: &mut Buffers) -> io::Result<(Vec<u8>, SocketAddr)> {
        let Buffers { v4, v6 } = buffers;
        tokio::select! {
            received = receive_on(self.v4.as_ref(), &mut v4[..]) => received,
            received = receive_on(self.v6.as_ref(), &mut v6[..]) => received,
        }
    }
}

async fn receive_on(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(Vec<u8>, SocketAddr)> {
    match socket {
        Some(socket) => {
            let (length, from) = socket.recv_from(buffer).await?;
            Ok((buffer[..length].to_vec(), from))
        }
        None => std::future::pending().await,
    }
}

/// The port is shared with every other responder of the host: each gets every packet to the group.
fn bind(domain: Domain, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
        socket.set_multicast_loop_v6(true)?;
        socket.set_multicast_hops_v6(255)?;
    } else {
        socket.set_multicast_loop_v4(true)?;
        socket.set_multicast_ttl_v4(255)?;
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// The interfaces to use: those that say that they can multicast, as in daprd, and the loopback one, which does not say
/// so but can. With nothing else that is enough for the sidecars of a host.
fn interfaces() -> nix::Result<HashSet<Interface>> {
    let mut found = HashSet::new();
    for entry in getifaddrs()? {
        let flags = entry.flags;
        let takes_part = flags.intersects(InterfaceFlags::IFF_MULTICAST | InterfaceFlags::IFF_LOOPBACK);
        if !flags.contains(InterfaceFlags::IFF_UP) || !takes_part {
            continue;
        }
        let address = entry.address.as_ref().and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
        });
        match address {
            Some(IpAddr::V4(address)) => drop(found.insert(Interface::V4(address))),
            Some(IpAddr::V6(_)) => {
                if let Ok(index) = if_nametoindex(entry.interface_name.as_str()) {
                    found.insert(Interface::V6(index));
                }
            }
            None => (),
        }
    }
    Ok(found)
}
