//! From fetched values to a Secret's data. Pure; nothing of a value enters an error.

use std::sync::Arc;

use super::inputs::Data;
use super::problem::Problem;
use super::property;
use crate::api::{ExternalCloudSecretSpec, Reason};
use crate::controller::quote::quoted;
use crate::refresh::Held;
use crate::secret_bytes::SecretBytes;

/// The most bytes the API server takes as a Secret's values together
/// (`MaxSecretSize` of the Kubernetes API).
pub const MOST_BYTES: usize = 1 << 20;

/// Renders the data of the Secret, whose entries have the values `held`, in the same order.
///
/// # Errors
/// The entry that cannot be rendered.
pub fn render(spec: &ExternalCloudSecretSpec, held: &[Arc<Held>]) -> Result<Data, Problem> {
    let mut data = Data::new();
    let mut total = 0;
    for (entry, held) in spec.data.iter().zip(held) {
        let value = held.fetched.value.expose();
        // Refused before it is copied or parsed, once for each entry that names it.
        if value.len() > MOST_BYTES {
            return Err(too_large(value.len()));
        }
        let bytes = match &entry.remote_ref.property {
            None => held.fetched.value.clone(),
            Some(name) => SecretBytes::new(property::extract(value, name).map_err(|error| {
                let (secret_key, key) = (&entry.secret_key, &entry.remote_ref.key);
                let property = quoted(name);
                let message =
                    format!("data[{secret_key}].remoteRef.property {property} ({key}): {error}");
                Problem::new(Reason::PropertyNotFound, message)
            })?),
        };
        total += bytes.len();
        if total > MOST_BYTES {
            return Err(too_large(total));
        }
        data.insert(entry.secret_key.clone(), bytes);
    }
    Ok(data)
}

fn too_large(bytes: usize) -> Problem {
    let message =
        format!("the values have at least {bytes} bytes, a Secret holds at most {MOST_BYTES}");
    Problem::new(Reason::TooLarge, message)
}
