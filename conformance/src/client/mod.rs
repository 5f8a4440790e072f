//! Small raw clients: they send what a well-behaved library would not, and hand back what came.

pub mod http1;
pub mod http2;
pub mod unix;
