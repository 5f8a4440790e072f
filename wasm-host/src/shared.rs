//! The engine of a process before anybody needs it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Engine;
use crate::error::Result;
use crate::settings::Settings;

/// Makes the engine at its first use: a gateway without guests pays nothing. Cheap to clone.
#[derive(Clone, Default)]
pub struct SharedEngine(Arc<Inner>);

#[derive(Default)]
struct Inner {
    settings: Settings,
    engine: Mutex<Option<Engine>>,
}

impl SharedEngine {
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner { settings, engine: Mutex::default() }))
    }

    /// # Errors
    /// As [`Engine::new`]; the next call tries again.
    pub fn get(&self) -> Result<Engine> {
        let mut engine = self.0.engine.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*engine {
            return Ok(engine.clone());
        }
        let made = Engine::new(self.0.settings.clone())?;
        Ok(engine.insert(made).clone())
    }
}
