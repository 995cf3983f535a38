//! The controllers: they loop over objects, and only when something changed.

pub mod caches;
pub mod census;
pub mod class;
pub mod context;
pub mod dependency;
pub mod digest_key;
pub mod event;
pub mod external_cloud_secret;
pub mod gate;
pub mod guard;
pub mod managed;
pub mod named;
pub mod objects;
pub mod packed;
pub mod pressure;
pub mod quote;
pub mod resume;
pub mod run;
pub mod scope;
pub mod store;
pub mod token;
pub mod turns;
pub mod watch;

use crate::lease::NotLeading;

/// What the API server said, in words that quote nothing of what was sent to it.
pub fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.reason.is_empty() => status.code.to_string(),
        kube::Error::Api(status) => format!("{} ({})", status.code, status.reason),
        kube::Error::Auth(_) => "no credentials for the API server".to_owned(),
        kube::Error::Service(error) if error.is::<NotLeading>() => NotLeading.to_string(),
        // Its text would quote the address, which may hold a password.
        kube::Error::ProxyProtocolDisabled { .. } => {
            "the kubeconfig names a proxy-url, which is not supported".to_owned()
        }
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => "an undecodable answer".to_owned(),
        _ => "no answer".to_owned(),
    }
}
