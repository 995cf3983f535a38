//! Reading the operator's own token files, passed in so that tests need no disk.

use std::io;
use std::path::Path;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

/// The longest token file that is read, in bytes; STS takes tokens of at most 20,000 characters.
const LONGEST: u64 = 64 << 10;

/// Reads files.
pub trait Files: Send + Sync + 'static {
    /// The bytes of the file at `path`, read anew each time.
    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Zeroizing<Vec<u8>>>>;
}

/// The machine's files, of which at most 64 KiB are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read<'a>(&'a self, path: &'a Path) -> BoxFuture<'a, io::Result<Zeroizing<Vec<u8>>>> {
        async move {
            let file = tokio::fs::File::open(path).await?;
            let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
            file.take(LONGEST).read_to_end(&mut bytes).await?;
            Ok(bytes)
        }
        .boxed()
    }
}
