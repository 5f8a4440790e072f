//! Images for containerd: an OCI layout in a tar, whose single layer is a tar of plain files.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

/// A tar of files; folders come of themselves.
fn tar(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, bytes) in files {
        let mut head = [0u8; 512];
        let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, name);
        for (at, text) in [(100, "0000644\0"), (108, "0000000\0"), (116, "0000000\0"), (136, "00000000000\0")] {
            put(at, text);
        }
        put(124, &format!("{:011o}\0", bytes.len()));
        // The checksum is that of the head with blanks in its place.
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// An image `name` with these files, whose command is the first of them.
pub fn image(name: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let layer = tar(&files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect::<Vec<_>>());
    let mut blobs = Vec::new();
    let mut blob = |kind: &str, bytes: Vec<u8>| {
        let hex = hex::encode(digest(&SHA256, &bytes));
        let descriptor = json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{hex}"),
            "size": bytes.len(),
        });
        blobs.push((format!("blobs/sha256/{hex}"), bytes));
        descriptor
    };
    let text = |value: &Value| value.to_string().into_bytes();
    let layer = blob("layer.v1.tar", layer);
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Cmd": [files[0].0], "Env": ["FROM_IMAGE=yes"] },
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = blob("config.v1+json", text(&config));
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    let mut manifest = blob("manifest.v1+json", text(&manifest));
    manifest["annotations"] = json!({ "io.containerd.image.name": name });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    blobs.push(("index.json".to_owned(), text(&index)));
    blobs.push(("oci-layout".to_owned(), text(&json!({ "imageLayoutVersion": "1.0.0" }))));
    tar(&blobs)
}
