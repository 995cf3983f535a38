//! Logs and panics: what may be written, and what never is.
//!
//! `RUST_LOG` rules this program's own events only. Libraries stay silent at every level, because
//! some of them log whole bodies; and a panic says where it happened, never its message.

use std::io::IsTerminal;

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::args::LogFormat;

/// The events that may be written, whatever `RUST_LOG` says.
const OURS: &str = "external_cloud_secrets";

/// `RUST_LOG` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG is no log filter; use a level such as info or debug")]
pub struct BadFilter;

/// Starts logging to standard error.
///
/// # Errors
/// When `filter` is no log filter.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<(), BadFilter> {
    let filter = EnvFilter::try_new(filter.unwrap_or("info")).map_err(|_| BadFilter)?;
    let filter = filter.and(filter_fn(is_ours));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal());
            registry.with(lines.with_filter(filter)).init();
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false);
            registry.with(lines.with_filter(filter)).init();
        }
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == OURS
        || target
            .strip_prefix(OURS)
            .is_some_and(|rest| rest.starts_with("::"))
}
