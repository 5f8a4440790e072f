//! Behaviour of every component through its trait, against real servers.
//!
//! One suite per trait reads `features()`: what is claimed is checked, what is not must answer "unsupported". A fixture
//! is one test per suite, which builds the component by its type and metadata as the sidecar does.

mod fixtures;
mod nameresolution;
mod pluggable;
mod pubsub;
mod secretstores;
mod servers;
mod state;
