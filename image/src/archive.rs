//! An image as an OCI archive: one layer, its configuration, its manifest and an index, in one tar file.
//!
//! The formats: <https://github.com/opencontainers/image-spec>, version 1.1.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};
use tar::{Builder, EntryType};

use crate::ArchiveArguments;
use crate::failure::{Failure, Result};
use crate::layer;

/// Nobody in particular, and not root: what most images without a shell run as.
const USER: &str = "65532:65532";
/// mimalloc gives back at once what is freed (docs/decisions/0010-image.md).
const ENVIRONMENT: &str = "MIMALLOC_PURGE_DELAY=0";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The manifest's digest, by which a registry knows the image.
    pub digest: String,
    /// Bytes of the layer as it lies on a node.
    pub unpacked: u64,
    /// Bytes of the layer as it travels.
    pub packed: u64,
}

/// A blob and what refers to it.
struct Blob {
    media_type: &'static str,
    digest: String,
    bytes: Vec<u8>,
}

/// Writes the archive.
///
/// # Errors
/// If the folder cannot be read, the archive cannot be written or the image is larger than allowed.
pub fn write(arguments: &ArchiveArguments) -> Result<Written> {
    let tar = layer::tar(&arguments.root)?;
    let unpacked = tar.len() as u64;
    if let Some(most) = arguments.most_bytes.filter(|most| unpacked > *most) {
        return Err(Failure(format!(
            "the image has {unpacked} bytes, more than {most}"
        )));
    }
    let out = arguments.out.as_path();
    let zipped = zip(&tar).map_err(Failure::io("pack", &arguments.root))?;
    let layer = Blob::new(LAYER, zipped);
    let config = Blob::json(CONFIG, &config(arguments, &sha256(&tar)));
    let manifest = Blob::json(
        MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": [layer.descriptor()],
        }),
    );
    let written = Written {
        digest: manifest.digest.clone(),
        unpacked,
        packed: layer.bytes.len() as u64,
    };
    let bytes = pack(&index(arguments, &manifest), &[manifest, config, layer])
        .map_err(Failure::io("write", out))?;
    if let Some(dir) = out.parent() {
        fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
    }
    fs::write(out, bytes).map_err(Failure::io("write", out))?;
    Ok(written)
}

fn config(arguments: &ArchiveArguments, layer: &str) -> Value {
    let mut labels = Map::new();
    labels.insert(
        "org.opencontainers.image.created".into(),
        arguments.created.to_string().into(),
    );
    for (key, value) in &arguments.labels {
        labels.insert(key.clone(), value.as_str().into());
    }
    json!({
        "architecture": arguments.architecture,
        "os": "linux",
        "created": arguments.created.to_string(),
        "config": { "User": USER, "Env": [ENVIRONMENT], "Entrypoint": [arguments.entrypoint], "Labels": labels },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": arguments.created.to_string(), "created_by": "image archive" }],
    })
}

fn index(arguments: &ArchiveArguments, manifest: &Blob) -> Value {
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({ "architecture": arguments.architecture, "os": "linux" });
    // The first is what containerd names an image by, the second the tag that the specification knows.
    let tag = arguments
        .name
        .rsplit_once(':')
        .map_or("latest", |(_, tag)| tag);
    descriptor["annotations"] = json!({
        "io.containerd.image.name": format!("localhost/{}", arguments.name),
        "org.opencontainers.image.ref.name": tag,
    });
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor] })
}

// === impl Blob ===

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        let digest = sha256(&bytes);
        Self {
            media_type,
            digest,
            bytes,
        }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", crate::digest::sha256(bytes))
}

/// Compresses without a name and a time.
fn zip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn pack(index: &Value, blobs: &[Blob]) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut file = |name: &str, bytes: &[u8]| {
        let size = bytes.len() as u64;
        let header = layer::header(Path::new(name), EntryType::Regular, 0o644, size)?;
        builder.append(&header, bytes)
    };
    file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    file("index.json", index.to_string().as_bytes())?;
    for blob in blobs {
        let name = blob.digest.replace(':', "/");
        file(&format!("blobs/{name}"), &blob.bytes)?;
    }
    builder.into_inner()
}

#[cfg(test)]
#[path = "archive/tests.rs"]
mod tests;
