//! The pieces of work whose instructions are counted.

mod hub;
mod kms;
mod plan;

use clap::ValueEnum;

use crate::failure::Result;

/// A piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Sign a call for twenty secrets.
    Sign,
    /// Decide that nothing is due for 1,000 objects of four entries.
    Plan,
    /// Read the answer to a call for twenty secrets.
    Decode,
    /// One object's request of the hub among 40,000 rows: its rows leave in a full batch, are answered and collected.
    Schedule,
}

// === impl Work ===

impl Work {
    /// How often it is done, a few times and more often, for a difference far above the noise.
    pub fn times(self) -> (u32, u32) {
        match self {
            Self::Sign | Self::Decode => (100, 1_100),
            Self::Plan => (2, 12),
            Self::Schedule => (50, 550),
        }
    }
}

/// Does `work` so many times.
///
/// # Errors
/// If it does not do what it should: then its cost says nothing.
pub async fn work(work: Work, times: u32) -> Result<()> {
    match work {
        Work::Sign => kms::sign(times),
        Work::Plan => plan::plan(times),
        Work::Decode => kms::decode(times),
        Work::Schedule => hub::schedule(times).await,
    }
}
