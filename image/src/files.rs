//! What is in the operator's image, and where.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::FilesArguments;
use crate::failure::{Failure, Result};
use crate::{roots, sbom};

/// The program, which is the entrypoint.
const BINARY: &str = "external-cloud-secrets";
/// Where the program looks for root certificates first, as most Linux programs do.
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where scanners of images look for lists of packages.
const PACKAGES: &str = "usr/share/sbom/external-cloud-secrets.spdx.json";

/// Writes the files under an empty root.
///
/// # Errors
/// If a file cannot be read or written, or Cargo does not say what the binary is made of.
pub fn lay_out(arguments: &FilesArguments) -> Result<()> {
    let root = &arguments.root;
    if root.exists() {
        fs::remove_dir_all(root).map_err(Failure::io("remove", root))?;
    }
    let binary = fs::read(&arguments.binary).map_err(Failure::io("read", &arguments.binary))?;
    let packages = sbom::spdx(&arguments.target, arguments.created, &binary)?;
    put(&root.join(BINARY), &binary, 0o755)?;
    put(&root.join(ROOTS), roots::pem().as_bytes(), 0o644)?;
    put(&root.join(PACKAGES), packages.as_bytes(), 0o644)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
    }
    fs::write(path, bytes).map_err(Failure::io("write", path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Failure::io("write", path))
}
