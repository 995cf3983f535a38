//! The programs beside this one, built with it.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};

/// The operator.
pub const OPERATOR: &str = "external-cloud-secrets";
/// The simulated cloud.
pub const CLOUDSIM: &str = "cloudsim";

/// A program of the same build.
///
/// # Errors
/// If it was not built.
pub fn beside_us(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Failure(format!(
        "{} is missing: run the bench by `make bench`, which builds it",
        path.display()
    )))
}

/// The size of the program at `path`, in MiB.
///
/// # Errors
/// If it is not there.
pub fn size_mib(path: &Path) -> Result<f64> {
    let bytes = path.metadata()?.len();
    Ok(crate::stats::number(bytes) / f64::from(1 << 20))
}
