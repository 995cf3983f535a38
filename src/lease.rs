//! Leader election by one Lease: a single process at a time writes to Kubernetes and calls clouds;
//! the others watch, and stand by.
//!
//! A process leads until a fixed time after it *sent* its last renewal that worked; others take the
//! Lease over only when they have seen no renewal for longer than that, each by its own clock, so
//! that no two machines' clocks are ever compared. Every write of the Lease carries the version it
//! was decided on. What to do is decided in `view.rs`, which is pure; [`Elector`] does it.
//!
//! [`Leadership`] is asked where requests leave: [`Gate`] in front of the API server, the HTTP
//! clients in front of the clouds. No other code has to ask.

mod elector;
mod gate;
mod leadership;
mod record;
#[cfg(test)]
mod tests;
mod view;

pub use elector::{Elector, Term};
pub use gate::Gate;
pub use leadership::{Leadership, NotLeading};
pub use record::{Claim, ClaimError, KubernetesLease, LeaseStore, Record};
