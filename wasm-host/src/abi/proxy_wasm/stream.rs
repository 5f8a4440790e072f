//! The HTTP stream that a guest looks at, and where it is in it.

use std::collections::BTreeMap;

use super::map::Pairs;
use super::status::Direction;

/// One direction's message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub headers: Pairs,
    pub body: Vec<u8>,
    pub trailers: Pairs,
    /// The guest has asked to go on (`proxy_continue_stream`).
    pub is_resumed: bool,
}

/// An answer that a guest gives itself (`proxy_send_local_response`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResponse {
    pub status: u32,
    /// For logs.
    pub details: String,
    pub headers: Pairs,
    pub body: Vec<u8>,
    /// `None`: not for gRPC.
    pub grpc_status: Option<u32>,
}

/// A stream's state.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub id: u32,
    pub request: Message,
    pub response: Message,
    pub local: Option<LocalResponse>,
    /// Response headers have gone out: no local response any more.
    pub has_answered: bool,
    /// The guest has ended it (`proxy_close_stream`).
    pub is_closed: bool,
    /// What the guest has set as properties.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Stream {
    pub fn message(&mut self, direction: Direction) -> &mut Message {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

/// What a callback has beside its stream.
#[derive(Debug, Default)]
pub(super) enum Window {
    #[default]
    None,
    VmStart,
    Configure,
    HttpReply {
        headers: Pairs,
        body: Vec<u8>,
        trailers: Pairs,
    },
    GrpcMetadata {
        pairs: Pairs,
        is_trailing: bool,
    },
    GrpcMessage(Vec<u8>),
    GrpcClose {
        code: u32,
        message: String,
    },
    /// `proxy_get_id` and `proxy_on_foreign_function`.
    Data(Vec<u8>),
}
