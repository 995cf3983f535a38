//! A folder as a tar file that says nothing about the machine it was made on.

use std::fs;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::failure::{Failure, Result};

/// The folder's files and folders in the order of their names, owned by root, without times, and either executable or not.
///
/// # Errors
/// If a file cannot be read or is neither a file nor a folder.
pub fn tar(root: &Path) -> Result<Vec<u8>> {
    let mut paths = Vec::new();
    collect(root, &mut paths)?;
    paths.sort();
    let mut builder = Builder::new(Vec::new());
    for path in paths {
        let name = path.strip_prefix(root).unwrap_or(&path);
        append(&mut builder, &path, name).map_err(Failure::io("pack", &path))?;
    }
    builder.into_inner().map_err(Failure::io("pack", root))
}

/// A header with nothing in it that could differ: only root's ids, no names, no time.
///
/// # Errors
/// If the name is too long for a tar file.
pub fn header(name: &Path, kind: EntryType, mode: u32, size: u64) -> std::io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Failure::io("read", dir))? {
        let path = entry.map_err(Failure::io("read", dir))?.path();
        let kind = path
            .symlink_metadata()
            .map_err(Failure::io("read", &path))?;
        if kind.is_dir() {
            collect(&path, paths)?;
        } else if !kind.is_file() {
            let path = path.display();
            return Err(Failure(format!("{path} is neither a file nor a folder")));
        }
        paths.push(path);
    }
    Ok(())
}

fn append(builder: &mut Builder<Vec<u8>>, path: &Path, name: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = path.metadata()?;
    if metadata.is_dir() {
        let header = header(&name.join(""), EntryType::Directory, 0o755, 0)?;
        return builder.append(&header, std::io::empty());
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    let bytes = fs::read(path)?;
    let header = header(name, EntryType::Regular, mode, bytes.len() as u64)?;
    builder.append(&header, bytes.as_slice())
}
