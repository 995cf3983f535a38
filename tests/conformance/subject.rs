//! What the suite needs of a provider and the simulator behind it.

use std::time::Duration;

use external_cloud_secrets::credential::Credentials;
use external_cloud_secrets::provider::Provider;

/// A provider, a simulator that it reads from, and an identity that may read below one prefix.
pub trait Subject: Send + Sync {
    /// The provider, which calls the simulator with a timeout of at most two seconds.
    fn provider(&self) -> &dyn Provider;

    /// Credentials that may read every [`name`](Self::name) and no other.
    fn reader(&self) -> Credentials;

    /// Credentials that the cloud does not accept, and what is wrong with them.
    fn impostors(&self) -> Vec<(&'static str, Credentials)>;

    /// A name that the reader may read.
    fn name(&self, leaf: &str) -> String;

    /// A name that it may not read.
    fn forbidden_name(&self, leaf: &str) -> String;

    /// The longest value that can be made of `unit`.
    fn longest_value(&self, unit: char) -> String;

    /// A text that is no version, where the cloud has a rule for them.
    fn no_version(&self) -> Option<&'static str>;

    /// Makes a new version of the secret.
    fn put(&self, name: &str, value: &str);

    /// Makes every later call of the provider go wrong in this way.
    fn inject(&self, fault: Fault);

    /// Ends all faults.
    fn heal(&self);

    /// How many calls the simulator has seen.
    fn calls(&self) -> usize;
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The cloud answers 500 with its own code.
    ServerError,
    /// The cloud throttles and asks for a wait.
    Throttled(Duration),
    /// The answer is not JSON.
    MalformedJson,
    /// Somebody else answers, with this status.
    Html(u16),
    /// The connection ends in the middle of the body.
    Truncated,
    /// The connection is reset.
    Reset,
    /// Nothing ever comes.
    Hang,
    /// The answer points elsewhere.
    Redirect,
    /// The answer does not mention this name.
    Unmentioned(String),
    /// The answer has this name with an empty value.
    EmptyValue(String),
    /// The answer has this name without a value.
    AbsentValue(String),
}
