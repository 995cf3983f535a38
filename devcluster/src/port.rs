//! Loopback ports that no parallel devcluster takes.
//!
//! Binding port 0 and closing it again, as envtest does, gives a port of the kernel's ephemeral range, which any outgoing
//! connection may take a moment later, and for certain while an API server is stopped on purpose. So ports come from below
//! that range, and a lock file, which the kernel releases whenever we die, keeps other devclusters away.

use crate::error::Error;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::Path;

// Below Linux's 32768 and macOS's 49152, and below the usual NodePorts.
const RANGE: Range<u16> = 20_000..30_000;

/// A port that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

// === impl Port ===

impl Port {
    /// Reserves a port by a lock file in `dir`.
    pub(crate) fn reserve(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
        let width = RANGE.end - RANGE.start;
        // A random start, so that parallel runs seldom compete for one port.
        let random = RandomState::new().hash_one(std::process::id());
        let first = u16::try_from(random % u64::from(width)).unwrap_or_default();
        for step in 0..width {
            let number = RANGE.start + (first + step) % width;
            let path = dir.join(number.to_string());
            let lock = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(Error::io("open", &path))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        Err(Error::NoPort(RANGE))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    #[test]
    fn a_reserved_port_is_not_given_twice_and_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let ports: Vec<_> = (0..8).map(|_| Port::reserve(dir.path()).unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
        let lock = File::open(dir.path().join(numbers[0].to_string())).unwrap();
        assert!(lock.try_lock().is_err());
        drop(ports);
        // A process that another test is just starting holds our files until it becomes its program.
        let started = Instant::now();
        while lock.try_lock().is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "it is not given back"
            );
            sleep(Duration::from_millis(5));
        }
    }
}
