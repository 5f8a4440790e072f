//! The packets: questions, answers, announcements and goodbyes, as daprd's library reads and writes them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::{Error, Result};

/// The port of mDNS. Questions from other ports want a unicast answer.
pub(super) const PORT: u16 = 5353;

/// How long others may keep what is announced, in seconds.
const TTL: u32 = 120;

/// A sidecar as it is announced.
pub(super) struct Service {
    /// `<app id>.local.`
    kind: Name,
    /// `<host>:<pid>:<port>.<app id>.local.`
    instance: Name,
    /// `<host>.local.`
    host: Name,
    app_id: String,
    address: SocketAddr,
}

/// What came in.
pub(super) enum Incoming {
    Questions(Message),
    Answers(Vec<Found>),
}

/// A sidecar that was heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) app_id: String,
    pub(super) address: SocketAddr,
    /// Zero: it said goodbye.
    pub(super) ttl: Duration,
}

/// An answer of ours.
pub(super) struct Answer {
    pub(super) datagram: Vec<u8>,
    /// To the one who asked, not to all.
    pub(super) unicast: bool,
}

impl Service {
    pub(super) fn new(app_id: &str, address: SocketAddr) -> Result<Self> {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        // One label, which has at most 63 bytes; with several in a process the port tells them apart.
        let host: String = host.split('.').next().unwrap_or_default().chars().filter(char::is_ascii).take(40).collect();
        let host = if host.is_empty() { "localhost".to_owned() } else { host };
        let label = format!("{host}:{}:{}", std::process::id(), address.port());
        let kind = kind(app_id)?;
        let instance = name(app_id, std::iter::once(label.as_bytes()).chain(kind.iter()))?;
        let host = name(app_id, [host.as_bytes(), b"local"])?;
        Ok(Self { kind, instance, host, app_id: app_id.to_owned(), address })
    }

    /// What is sent unasked when the sidecar comes.
    pub(super) fn announcement(&self) -> Vec<u8> {
        encode(&self.reply(TTL))
    }

    /// What is sent when the sidecar goes: all of it ends now.
    pub(super) fn goodbye(&self) -> Vec<u8> {
        encode(&self.reply(0))
    }

    /// The answer to a packet of questions, if one is about this sidecar and not answered in it already.
    pub(super) fn answer(&self, message: &Message, port: u16) -> Option<Answer> {
        let asked = message.queries.iter().find(|query| self.is_asked(query))?;
        let is_known = message.answers.iter().any(|record| {
            matches!(&record.data, RData::PTR(PTR(instance)) if *instance == self.instance) && record.ttl >= TTL / 2
        });
        if is_known && asked.query_type == RecordType::PTR {
            return None;
        }
        let mut reply = self.reply(TTL);
        let is_legacy = port != PORT;
        if is_legacy {
            // An ordinary resolver, which wants its question back.
            reply.metadata.id = message.metadata.id;
            reply.add_query(asked.clone());
        }
        Some(Answer { datagram: encode(&reply), unicast: is_legacy || asked.mdns_unicast_response })
    }

    fn is_asked(&self, query: &Query) -> bool {
        let types: &[RecordType] = if query.name == self.kind {
            &[RecordType::PTR, RecordType::ANY]
        } else if query.name == self.instance {
            &[RecordType::SRV, RecordType::TXT, RecordType::ANY]
        } else {
            return false;
        };
        types.contains(&query.query_type)
    }

    fn reply(&self, ttl: u32) -> Message {
        let mut message = Message::new(0, MessageType::Response, OpCode::Query);
        message.metadata.authoritative = true;
        let port = self.address.port();
        message.add_answer(Record::from_rdata(self.kind.clone(), ttl, RData::PTR(PTR(self.instance.clone()))));
        let srv = RData::SRV(SRV::new(0, 0, port, self.host.clone()));
        message.add_additional(Record::from_rdata(self.instance.clone(), ttl, srv));
        let txt = RData::TXT(TXT::new(vec![self.app_id.clone()]));
        message.add_additional(Record::from_rdata(self.instance.clone(), ttl, txt));
        let address = match self.address.ip() {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        // Without the cache-flush bit: several sidecars of a host share its name, with addresses of their own.
        message.add_additional(Record::from_rdata(self.host.clone(), ttl, address));
        message
    }
}

/// Names were checked when they were made, so nothing can fail here that an empty packet would make worse.
fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap_or_default()
}

/// A question for the sidecars of an app.
pub(super) fn question(app_id: &str) -> Result<Vec<u8>> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(kind(app_id)?, RecordType::PTR));
    Ok(encode(&message))
}

/// Takes a packet apart; none when it is not for us.
pub(super) fn parse(datagram: &[u8]) -> Option<Incoming> {
    let message = Message::from_vec(datagram).ok()?;
    match message.metadata.message_type {
        MessageType::Query => Some(Incoming::Questions(message)),
        MessageType::Response => Some(Incoming::Answers(found(&message))),
    }
}

/// `<app id>.local.`; dots in an app id part labels, as in daprd.
fn kind(app_id: &str) -> Result<Name> {
    name(app_id, app_id.trim_matches('.').split('.').map(str::as_bytes).chain([&b"local"[..]]))
}

fn name<'a>(app_id: &str, labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Name> {
    Name::from_labels(labels).map_err(|error| Error::config(format!("app id '{app_id}' is no name for mDNS: {error}")))
}

/// The sidecars that a packet tells of. Everything about an instance is in one packet.
fn found(message: &Message) -> Vec<Found> {
    let records = || message.answers.iter().chain(&message.additionals);
    let mut found = Vec::new();
    for record in records() {
        let RData::SRV(srv) = &record.data else { continue };
        // The text is the app id in its true letters; a name could be of anything.
        let mut app_ids = records().filter(|text| text.name == record.name).filter_map(|text| match &text.data {
            RData::TXT(text) => text.txt_data.first().and_then(|text| String::from_utf8(text.to_vec()).ok()),
            _ => None,
        });
        let is_goodbye = record.ttl == 0
            || records().any(|pointer| {
                pointer.ttl == 0 && matches!(&pointer.data, RData::PTR(PTR(instance)) if *instance == record.name)
            });
        let ttl = Duration::from_secs(if is_goodbye { 0 } else { record.ttl.into() });
        let addresses =
            records().filter(|address| address.name == srv.target).filter_map(|address| match &address.data {
                RData::A(A(address)) => Some(IpAddr::from(*address)),
                RData::AAAA(AAAA(address)) => Some(IpAddr::from(*address)),
                _ => None,
            });
        // One address of an instance is enough, rather an IPv4 one: as in daprd.
        let address = addresses.min_by_key(IpAddr::is_ipv6);
        if let Some((app_id, address)) = app_ids.next().zip(address) {
            found.push(Found { app_id, address: SocketAddr::new(address, srv.port), ttl });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(app_id: &str) -> Service {
        Service::new(app_id, SocketAddr::from(([127, 0, 0, 1], 50002))).unwrap()
    }

    fn answers(datagram: &[u8]) -> Vec<Found> {
        match parse(datagram) {
            Some(Incoming::Answers(found)) => found,
            _ => panic!("no answers"),
        }
    }

    fn questions(datagram: &[u8]) -> Message {
        match parse(datagram) {
            Some(Incoming::Questions(message)) => message,
            _ => panic!("no questions"),
        }
    }

    #[test]
    fn a_question_is_answered_with_all_that_a_caller_needs() {
        for app_id in ["app", "My.App_1", "with space"] {
            let service = service(app_id);
            let answer = service.answer(&questions(&question(app_id).unwrap()), PORT).unwrap();
            assert!(!answer.unicast);
            let found = Found { app_id: app_id.to_owned(), address: service.address, ttl: Duration::from_secs(120) };
            assert_eq!(answers(&answer.datagram), [found]);
        }
    }

    #[test]
    fn questions_about_others_and_answered_ones_stay_unanswered() {
        let service = service("app");
        assert!(service.answer(&questions(&question("other").unwrap()), PORT).is_none());
        let mut known = questions(&question("app").unwrap());
        known.add_answer(Record::from_rdata(service.kind.clone(), 100, RData::PTR(PTR(service.instance.clone()))));
        assert!(service.answer(&known, PORT).is_none());
        known.answers[0].ttl = 10;
        assert!(service.answer(&known, PORT).is_some());
    }

    #[test]
    fn an_ordinary_resolver_gets_its_question_back() {
        let service = service("app");
        let mut message = questions(&question("app").unwrap());
        message.metadata.id = 77;
        let answer = service.answer(&message, 40000).unwrap();
        let reply = Message::from_vec(&answer.datagram).unwrap();
        assert!(answer.unicast);
        assert_eq!((reply.metadata.id, reply.queries.len()), (77, 1));
    }

    #[test]
    fn a_goodbye_ends_at_once() {
        assert_eq!(answers(&service("app").goodbye())[0].ttl, Duration::ZERO);
    }

    #[test]
    fn nonsense_is_passed_over() {
        for datagram in [&b""[..], b"\0\0\0", &[0xff; 40]] {
            assert!(
                parse(datagram).is_none_or(|incoming| matches!(incoming, Incoming::Answers(found) if found.is_empty()))
            );
        }
    }
}
