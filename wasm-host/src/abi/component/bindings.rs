//! What the macros make of the texts under `wit`.

/// Everything that a component can import beside WASI.
#[allow(clippy::all)]
pub(super) mod imports {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "ottavo:host/imports",
        imports: { default: async | trappable },
        with: {
            "wasi:keyvalue/store.bucket": crate::abi::component::keyvalue::Bucket,
            "wasi:keyvalue/atomics.cas": crate::abi::component::atomics::Cas,
            "wasi:messaging/types.client": crate::abi::component::messaging::Client,
            "wasi:messaging/types.message": crate::abi::component::messaging::Message,
            "ottavo:runtime/secrets.secret": components::metadata::Secret,
        },
    });
}

/// `wasi:messaging/incoming-handler`, which takes the messages of the imports.
#[allow(clippy::all)]
pub(super) mod messages {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "ottavo:host/messages",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "wasi:messaging/types": super::imports::wasi::messaging::types },
    });
}

/// `ottavo:runtime/event-handler`
#[allow(clippy::all)]
pub(super) mod events {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "ottavo:host/events",
        exports: { default: async },
    });
}
