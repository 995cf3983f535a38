//! One call, done properly: credentials, deadline, retries by class. Providers do none of this.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, timeout_at};

use super::Origin;
use super::answer::Spent;
use super::ladder::{NextTry, next_try};
use crate::credential::CredentialCache;
use crate::http::NOT_LEADING;
use crate::provider::{Answer, CallError, Class, Notice, RemoteKey};

/// The pause before a call is tried again that was not made.
const UNSURE: Duration = Duration::from_millis(250);
/// How often one call is tried while its deadline lasts.
pub(super) const TRIES: usize = 3;

/// What failed: the identity, so that nothing else it reads can work, or this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// No credentials could be had, or the cloud refused them twice.
    Identity(CallError),
    /// The call failed as a whole.
    Call(CallError),
}

/// What a call is for.
#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    /// To learn something about a key before it is read. Nothing is answered.
    Learn(&'a RemoteKey),
    /// To read keys.
    Read(&'a [RemoteKey]),
}

/// Hears of each call that was made; for metrics.
pub trait CallObserver: Send + Sync + 'static {
    /// One call of `action` took `took` and ended with `class`, or well.
    fn called(&self, provider: &str, action: &str, class: Option<Class>, took: Duration);

    /// `provider` has something to say about itself, once.
    fn noticed(&self, _provider: &str, _notice: Notice) {}
}

/// Makes calls for the hub.
pub struct Caller {
    credentials: Arc<CredentialCache>,
    observer: Arc<dyn CallObserver>,
    deadline: Duration,
}

// === impl What ===

impl What<'_> {
    fn keys(&self) -> &[RemoteKey] {
        match self {
            Self::Learn(key) => std::slice::from_ref(key),
            Self::Read(keys) => keys,
        }
    }

    /// How many answers it brings.
    fn answers(&self) -> usize {
        match self {
            Self::Learn(_) => 0,
            Self::Read(keys) => keys.len(),
        }
    }
}

// === impl Caller ===

impl Caller {
    /// A caller whose calls, retries and credential exchange included, end within `deadline`.
    pub fn new(
        credentials: Arc<CredentialCache>,
        observer: Arc<dyn CallObserver>,
        deadline: Duration,
    ) -> Self {
        Self {
            credentials,
            observer,
            deadline,
        }
    }

    /// Reads from `origin`, or learns something about it.
    ///
    /// What it costs is added to `spent`.
    pub(super) async fn call(
        &self,
        origin: &Origin,
        what: What<'_>,
        tries: usize,
        spent: &mut Spent,
    ) -> Result<Vec<Answer>, CallFailure> {
        let deadline = Instant::now() + self.deadline;
        let mut first = true;
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(2))
            .with_max_times(tries.saturating_sub(1))
            .with_jitter()
            .build();
        let mut refused = false;
        loop {
            let credentials = timeout_at(deadline, self.credentials.get(&origin.identity)).await;
            let credentials = match credentials.unwrap_or_else(|_| Err(deadline_exceeded())) {
                Err(error) if not_leading(&error) => {
                    tokio::time::sleep(UNSURE).await;
                    if Instant::now() < deadline {
                        continue;
                    }
                    return Err(CallFailure::Call(error));
                }
                credentials => credentials.map_err(CallFailure::Identity)?,
            };
            let sent = Instant::now();
            spent.more += u32::from(!std::mem::take(&mut first));
            let provider = &origin.provider;
            let action = provider.action(what.keys());
            let answers = async {
                match what {
                    What::Learn(key) => {
                        provider.learn(&credentials, key).await?;
                        Ok(Vec::new())
                    }
                    What::Read(keys) => provider.fetch(&credentials, keys).await,
                }
            };
            let answers = timeout_at(deadline, answers)
                .await
                .unwrap_or_else(|_| Err(deadline_exceeded()));
            let class = answers.as_ref().err().map(|error| error.class);
            self.observer
                .called(provider.name(), action, class, sent.elapsed());
            spent.more += provider.take_more_calls();
            if let Some(notice) = provider.take_notice() {
                self.notice(origin, notice);
            }
            let error = match answers {
                Ok(answers) if answers.len() == what.answers() => return Ok(answers),
                Ok(_) => CallError::new(Class::Protocol, "AnswerCount"),
                Err(error) => error,
            };
            if error.class == Class::Throttled {
                let hint = throttle_pause(&error);
                spent.throttled = spent.throttled.max(Some(hint));
            }
            match error.class {
                Class::Unauthenticated => {
                    self.credentials
                        .discard(&origin.identity.id(), &credentials);
                    if refused {
                        return Err(CallFailure::Identity(error));
                    }
                    refused = true;
                }
                Class::Unavailable if not_leading(&error) && sent + UNSURE < deadline => {
                    tokio::time::sleep(UNSURE).await;
                }
                Class::Throttled | Class::Unavailable => {
                    let Some(wait) = waits.next() else {
                        return Err(CallFailure::Call(error));
                    };
                    let wait = error.retry_after.map_or(wait, |hint| wait.max(hint));
                    if wait >= deadline.saturating_duration_since(Instant::now()) {
                        return Err(CallFailure::Call(error));
                    }
                    tokio::time::sleep(wait).await;
                }
                Class::NotFound | Class::Denied | Class::Invalid | Class::Protocol => {
                    return Err(CallFailure::Call(error));
                }
            }
        }
    }

    fn notice(&self, origin: &Origin, notice: Notice) {
        let provider = origin.provider.name();
        match notice {
            Notice::ClockOff => tracing::warn!(
                provider,
                host = origin.provider.host(),
                "the node's clock is off: calls are dated by the cloud's own"
            ),
            Notice::BatchWithdrawn => tracing::info!(
                provider,
                host = origin.provider.host(),
                "the batch call does not work here, secrets are read singly"
            ),
        }
        self.observer.noticed(provider, notice);
    }
}

/// Nobody was called: it is not sure for a moment that this process leads.
fn not_leading(error: &CallError) -> bool {
    error.code() == NOT_LEADING
}

/// How long nothing of the budget leaves that a refused call came from.
fn throttle_pause(error: &CallError) -> Duration {
    match next_try(error, 1, Duration::ZERO) {
        NextTry::After(wait) => wait,
        NextTry::NextSlot | NextTry::OnChange => Duration::ZERO,
    }
}

fn deadline_exceeded() -> CallError {
    CallError::new(Class::Unavailable, "DeadlineExceeded")
}
