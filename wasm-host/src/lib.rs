//! WebAssembly guests beside the building blocks: what a guest may call.
