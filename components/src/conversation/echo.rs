//! `conversation.echo`: answers with what it was told; for trying things out.

use std::sync::Arc;

use async_trait::async_trait;

use super::Conversation;
use crate::Result;
use crate::component::{Built, InitContext, Spec};

/// It has no options.
pub const PROPERTIES: &[&str] = &[];

/// Builds the provider; nothing can fail.
pub async fn build(_spec: Spec, _context: InitContext) -> Result<Built> {
    Ok(Built::Conversation(Arc::new(Echo)))
}

struct Echo;

#[async_trait]
impl Conversation for Echo {}
