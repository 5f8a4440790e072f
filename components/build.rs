//! Compiles the `.proto` files below `proto/` into Rust, without protoc.

use std::error::Error;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    if env::var_os("CARGO_FEATURE_ETCD").is_some() {
        let mut files = Vec::new();
        for entry in fs::read_dir("proto/etcd")? {
            files.push(entry?.path());
        }
        files.sort();
        let descriptors = protox::compile(&files, ["proto"])?;
        tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(descriptors)?;
    }
    Ok(())
}
