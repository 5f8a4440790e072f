//! The list of implementations: one line each.

use crate::registry::Registry;

/// Registers every implementation of this build.
pub fn register(registry: &mut Registry) {
    let _ = registry;
}
