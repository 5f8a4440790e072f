//! Compiles every `.proto` file below `proto/` into Rust, without protoc.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("proto");
    println!("cargo::rerun-if-changed=proto");

    let mut files = Vec::new();
    collect_protos(root, &mut files)?;
    files.sort();

    let mut descriptors = protox::compile(&files, [root])?;
    // `bytes` fields share the buffer of the received frame instead of copying payloads.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors.clone())?;

    // Comments became rustdoc above; reflection has no use for them.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR for build scripts")?);
    fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    Ok(())
}

fn collect_protos(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
