//! What is in the operator's image, and where.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::FilesArguments;
use crate::failure::{Failure, Result};
use crate::{roots, sbom};

/// The program, which is the entrypoint.
const BINARY: &str = "external-cloud-secrets";
/// Where the program looks for root certificates first, as most Linux programs do.
const ROOTS: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where scanners of images look for lists of packages.
const PACKAGES: &str = "usr/share/sbom/external-cloud-secrets.spdx.json";

/// Writes the files under a root, in the place of what was laid out there before.
///
/// # Errors
/// If anything else is under that root, a file cannot be read or written, or Cargo does not say what the binary is made of.
pub fn lay_out(arguments: &FilesArguments) -> Result<()> {
    let root = &arguments.root;
    remove(root)?;
    let binary = fs::read(&arguments.binary).map_err(Failure::io("read", &arguments.binary))?;
    let packages = sbom::spdx(&arguments.target, arguments.created, &binary)?;
    put(&root.join(BINARY), &binary, 0o755)?;
    put(&root.join(ROOTS), roots::pem().as_bytes(), 0o644)?;
    put(&root.join(PACKAGES), packages.as_bytes(), 0o644)
}

/// Removes what [`lay_out`] made, and nothing else.
fn remove(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    if let Some(other) = foreign(root, root)? {
        let (root, other) = (root.display(), other.display());
        return Err(Failure(format!(
            "{root} is no folder of an image, for {other} is in it: name another"
        )));
    }
    fs::remove_dir_all(root).map_err(Failure::io("remove", root))
}

/// The first file or link below a folder that is not one of an image.
fn foreign(root: &Path, dir: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir).map_err(Failure::io("read", dir))? {
        let path = entry.map_err(Failure::io("read", dir))?.path();
        let ours = [BINARY, ROOTS, PACKAGES].iter().map(|file| root.join(file));
        let on_the_way = ours.clone().any(|file| file.starts_with(&path));
        if !on_the_way || path.is_symlink() {
            return Ok(Some(path));
        }
        if path.is_dir()
            && let Some(other) = foreign(root, &path)?
        {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
    }
    fs::write(path, bytes).map_err(Failure::io("write", path))?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Failure::io("write", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_was_laid_out_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for file in [BINARY, ROOTS, PACKAGES] {
            put(&root.join(file), b"", 0o644).unwrap();
        }
        for other in ["notes.txt", "etc/hosts", "home/me/notes.txt"] {
            put(&root.join(other), b"", 0o644).unwrap();
            let refused = remove(&root).unwrap_err().0;
            assert!(refused.contains("is no folder of an image"), "{refused}");
            assert!(root.join(other).exists() && root.join(BINARY).exists());
            let top = root.join(other.split('/').next().unwrap());
            if other.starts_with("home") {
                fs::remove_dir_all(top).unwrap();
            } else {
                fs::remove_file(root.join(other)).unwrap();
            }
        }
        remove(&root).unwrap();
        assert!(!root.exists());
        remove(&root).unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_not_removed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(remove(file.path()).is_err());
        assert!(file.path().exists());
    }
}
