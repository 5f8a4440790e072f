//! HTTP as bytes, as cheap as it can be read: what the generator and the responder share.

pub mod frame;
pub mod hpack;
pub mod http1;
mod huffman;
