//! `wasi:config`, in both of its drafts: the function's configuration.

use super::bindings::imports::wasi;
use super::state::State;

/// The drafts differ by name only.
macro_rules! serve {
    ($($draft:ident),*) => { $(
        impl wasi::$draft::store::Host for State {
            async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, wasi::$draft::store::Error>> {
                Ok(Ok(self.config.get(&key).cloned()))
            }

            async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, wasi::$draft::store::Error>> {
                Ok(Ok(self.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect()))
            }
        }
    )* };
}

serve!(config0_2_0_draft, config0_2_0_rc_1);
