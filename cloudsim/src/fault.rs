//! Faults: what a cloud does wrong on purpose.

use serde::{Deserialize, Serialize};

use crate::pattern;

/// A fault: on which calls, how often, and what happens to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The calls it strikes. Without any rule: every call of every service.
    #[serde(default, rename = "match")]
    pub on: Match,
    /// How many calls it strikes; without a number, until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens.
    pub effect: Effect,
}

/// Which calls a fault strikes: all rules that are given must hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `oos`, `sts`, `kms` or `metadata`; `ssm`, `tencent-sts` or `tencent-metadata`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The action, for example `GetSecretParameters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// A pattern that one of the asked names must match, in a batch too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The role or user: its ARN, or its name alone. For `AssumeRoleWithOIDC` the role that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// A pattern of the `Host` header, with or without its port, for example `kms-vpc.*`: one gateway or one
    /// region only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// The cloud refuses with this status and code.
    Error {
        /// The HTTP status.
        status: u16,
        /// The cloud's code.
        code: String,
        /// The message, if not a plain one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The cloud throttles, with `x-acs-retry-after` if a time is given. Tencent's, without a code of another
    /// choice, says `RequestLimitExceeded` with status 200 and no time.
    Throttle {
        /// The HTTP status.
        #[serde(default = "default_throttle_status")]
        status: u16,
        /// The cloud's code.
        #[serde(default = "default_throttle_code")]
        code: String,
        /// The wait that the cloud asks for, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// The true answer comes late. The value is the one at the call's arrival.
    Delay {
        /// How late, in milliseconds.
        millis: u64,
    },
    /// No answer ever comes; the connection stays open.
    Hang,
    /// The connection is reset (RST).
    Reset,
    /// The connection is closed without an answer.
    Close,
    /// The first half of the true answer comes, then the connection is closed.
    Truncate,
    /// An HTML page comes instead of JSON.
    Html {
        /// The HTTP status, 200 or 502 for example.
        status: u16,
    },
    /// The true answer comes without its last characters, as a whole HTTP message.
    MalformedJson,
    /// The value in the answer is empty, or its field is not there.
    EmptyValue {
        /// Whether the field is not there.
        #[serde(default)]
        absent: bool,
    },
    /// The asked name is neither in the answer nor among its missing ones.
    MissingEntry,
    /// The asked name fails within an answer that succeeds, where the cloud has such answers: in a batch of KMS.
    EntryError {
        /// The status that is said of the name.
        status: u16,
        /// The code that is said of the name.
        code: String,
    },
    /// The answer is a redirect.
    Redirect {
        /// Where to.
        location: String,
    },
}

/// A fault in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActiveFault {
    /// Its number, by which it can be cleared.
    pub id: u64,
    /// How many calls it has struck.
    pub hits: u32,
    /// The fault itself.
    pub fault: Fault,
}

/// What a fault is matched with.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) names: &'a [String],
    pub(crate) principal: &'a str,
    pub(crate) host: &'a str,
}

/// All faults in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    next_id: u64,
    active: Vec<ActiveFault>,
}

fn default_throttle_status() -> u16 {
    400
}

fn default_throttle_code() -> String {
    "Throttling.User".to_owned()
}

// === impl Fault ===

impl Fault {
    /// A fault that strikes every call until it is cleared.
    pub fn new(effect: Effect) -> Self {
        Self {
            on: Match::default(),
            times: None,
            effect,
        }
    }

    /// The cloud refuses with this status and code.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(Effect::Error {
            status,
            code: code.to_owned(),
            message: None,
        })
    }

    /// The cloud throttles and asks for a wait.
    pub fn throttle(retry_after_ms: u64) -> Self {
        let (status, code) = (default_throttle_status(), default_throttle_code());
        Self::new(Effect::Throttle {
            status,
            code,
            retry_after_ms: Some(retry_after_ms),
        })
    }

    /// Strikes calls of this service only.
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        self.on.service = Some(service.to_owned());
        self
    }

    /// Strikes calls of this action only.
    #[must_use]
    pub fn action(mut self, action: &str) -> Self {
        self.on.action = Some(action.to_owned());
        self
    }

    /// Strikes calls that ask for a name of this pattern only.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.on.name = Some(name.to_owned());
        self
    }

    /// Strikes calls of this role or user only.
    #[must_use]
    pub fn principal(mut self, principal: &str) -> Self {
        self.on.principal = Some(principal.to_owned());
        self
    }

    /// Strikes calls to a host of this pattern only.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.on.host = Some(host.to_owned());
        self
    }

    /// Strikes so many calls and no more.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

// === impl Match ===

impl Match {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        let same =
            |rule: &Option<String>, text: &str| rule.as_deref().is_none_or(|rule| rule == text);
        let principal = self
            .principal
            .as_deref()
            .is_none_or(|rule| is_principal(rule, subject.principal));
        let host = self.host.as_deref();
        let bare = subject.host.split(':').next().unwrap_or_default();
        let host = host.is_none_or(|pattern| {
            pattern::matches(pattern, subject.host) || pattern::matches(pattern, bare)
        });
        same(&self.service, subject.service)
            && same(&self.action, subject.action)
            && principal
            && host
            && (self.name.is_none() || subject.names.iter().any(|name| self.names(name)))
    }

    /// Says whether an asked name is one that the fault is about.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.name
            .as_deref()
            .is_none_or(|pattern| pattern::matches(pattern, name))
    }
}

/// Says whether an ARN is the one asked for, by itself or by the name at its end.
pub(crate) fn is_principal(asked: &str, arn: &str) -> bool {
    asked == arn || arn.rsplit('/').next() == Some(asked)
}

// === impl Effect ===

impl Effect {
    /// The effect's name, as in JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Throttle { .. } => "throttle",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Close => "close",
            Self::Truncate => "truncate",
            Self::Html { .. } => "html",
            Self::MalformedJson => "malformed_json",
            Self::EmptyValue { .. } => "empty_value",
            Self::MissingEntry => "missing_entry",
            Self::EntryError { .. } => "entry_error",
            Self::Redirect { .. } => "redirect",
        }
    }
}

// === impl Faults ===

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.next_id += 1;
        self.active.push(ActiveFault {
            id: self.next_id,
            hits: 0,
            fault,
        });
        self.next_id
    }

    pub(crate) fn list(&self) -> &[ActiveFault] {
        &self.active
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// Clears one fault; `false` if there is none of this number.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    /// Counts and returns the faults that strike a call: every delay, and the oldest other one.
    pub(crate) fn strike(&mut self, subject: &Subject<'_>) -> Vec<Fault> {
        let mut struck: Vec<Fault> = Vec::new();
        for active in &mut self.active {
            let is_delay = |fault: &Fault| matches!(fault.effect, Effect::Delay { .. });
            let taken = !is_delay(&active.fault) && struck.iter().any(|fault| !is_delay(fault));
            if !taken && active.fault.on.holds(subject) {
                active.hits += 1;
                struck.push(active.fault.clone());
            }
        }
        self.active
            .retain(|active| active.fault.times.is_none_or(|times| active.hits < times));
        struck
    }
}
