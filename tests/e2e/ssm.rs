//! What holds for secrets of SSM in particular, end to end.

mod counting;
mod mixture;
mod permission;
mod secrecy;
mod states;
mod versions;
