//! Why an object is not as it should be, in the words its conditions use.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::{Reason, RemoteRef};
use crate::provider::{CallError, Class, Detail};

/// A failure, said so that the user can act on it. The message never holds a value, and stays the
/// same as long as the failure does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The condition's reason.
    pub reason: Reason,
    /// What failed and, where that is known, what to do.
    pub message: String,
}

// === impl Problem ===

impl Problem {
    /// A problem with `reason`.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// A failed read of `asked` for the entry `secret_key`. Where something is not there, it may be the version or the
    /// stage that is not.
    pub fn read(secret_key: &str, asked: &RemoteRef, error: &CallError) -> Self {
        let mut what = asked.key.clone();
        if error.class == Class::NotFound {
            for (word, named) in [("version", &asked.version), ("stage", &asked.stage)] {
                what.extend(named.iter().map(|named| format!(", {word} {named}")));
            }
        }
        let reason = reason_of(error.class);
        Self::new(
            reason,
            format!("data[{secret_key}] ({what}): {error}{}", advice(error)),
        )
    }

    /// Says that the Secret holds what another region answered.
    #[must_use]
    pub fn with_stand_in(mut self, region: &str) -> Self {
        let parts = ["; the Secret holds what region ", region, " answered"];
        self.message.extend(parts);
        self
    }

    /// Says that another region did not help either.
    #[must_use]
    pub fn with_silence(mut self, region: &str, code: &str) -> Self {
        self.message.extend(["; region ", region, ": ", code]);
        self
    }

    /// Whether `condition` says the same, be it of another request.
    pub fn is_told_by(&self, condition: &Condition) -> bool {
        condition.reason == self.reason.as_str()
            && without_request(&condition.message) == without_request(&self.message)
    }

    /// Whether nothing but a change by the user can help: waiting does not.
    pub fn needs_user(&self) -> bool {
        matches!(
            self.reason,
            Reason::InvalidSpec
                | Reason::StoreNotFound
                | Reason::StoreDenied
                | Reason::TargetConflict
                | Reason::TooLarge
        )
    }
}

/// A message without the request id that a read's failure ends in.
fn without_request(message: &str) -> (&str, &str) {
    let Some((head, rest)) = message.split_once(" (request ") else {
        return (message, "");
    };
    (head, rest.split_once(')').map_or("", |(_, tail)| tail))
}

/// The condition reason of an error class.
pub fn reason_of(class: Class) -> Reason {
    match class {
        Class::NotFound => Reason::RemoteNotFound,
        Class::Unauthenticated => Reason::AuthenticationFailed,
        Class::Denied => Reason::AccessDenied,
        Class::Throttled => Reason::Throttled,
        Class::Unavailable => Reason::ProviderUnavailable,
        Class::Invalid => Reason::InvalidSpec,
        Class::Protocol => Reason::UnexpectedResponse,
    }
}

/// What to do about `error`, where it does not say so itself.
fn advice(error: &CallError) -> &'static str {
    match error.detail() {
        None | Some(Detail::Undecodable { .. }) => {}
        // Where nobody answered, the host says where to look and not what happens next.
        Some(Detail::Host(..)) if error.class == Class::Unavailable => {}
        Some(_) => return "",
    }
    match error.class {
        Class::NotFound => {
            "; create it, or correct remoteRef.key, remoteRef.version, remoteRef.stage or the store's \
             region"
        }
        Class::Unauthenticated => "; check the store's spec.auth",
        Class::Denied => "; check what the store's identity may do, and who may assume its role",
        Class::Invalid => "; correct remoteRef.key, remoteRef.version or remoteRef.stage",
        Class::Throttled | Class::Unavailable => "; it is tried again",
        Class::Protocol => "; the answer was not used",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Name;

    fn asked(key: &str) -> RemoteRef {
        RemoteRef {
            key: key.to_owned(),
            version: None,
            stage: None,
            property: None,
        }
    }

    #[test]
    fn what_is_not_there_is_named_as_it_was_asked_for() {
        let said = |class, of: &RemoteRef| {
            let message = Problem::read("v", of, &CallError::new(class, "Code")).message;
            message.split(": ").next().map(str::to_owned)
        };
        let version = RemoteRef {
            version: Some("canary-7".to_owned()),
            ..asked("k")
        };
        let stage = RemoteRef {
            stage: Some("CanaryStage".to_owned()),
            ..asked("k")
        };
        for (class, of, expected) in [
            (Class::NotFound, &version, "data[v] (k, version canary-7)"),
            (Class::NotFound, &stage, "data[v] (k, stage CanaryStage)"),
            (Class::NotFound, &asked("k"), "data[v] (k)"),
            (Class::Denied, &version, "data[v] (k)"),
        ] {
            assert_eq!(said(class, of).as_deref(), Some(expected));
        }
    }

    #[test]
    fn an_error_that_says_what_to_do_is_not_given_other_advice() {
        let host = || Name::new("sts.cn-hangzou.aliyuncs.com");
        let named = || Detail::Named("there is no role", Name::new("r"));
        let torn = || Detail::Undecodable {
            category: "data",
            line: 1,
            column: 2,
        };
        let table = [
            (
                Class::Invalid,
                None,
                "; correct remoteRef.key, remoteRef.version or remoteRef.stage",
            ),
            (
                Class::Invalid,
                Some(Detail::Fixed("no stages")),
                ": no stages",
            ),
            (
                Class::Unauthenticated,
                Some(named()),
                ": there is no role r",
            ),
            (
                Class::Unauthenticated,
                None,
                "; check the store's spec.auth",
            ),
            (
                Class::Unavailable,
                Some(Detail::Host(host(), " is away")),
                ": sts.cn-hangzou.aliyuncs.com is away; it is tried again",
            ),
            (
                Class::Protocol,
                Some(Detail::Host(host(), " is refused")),
                ": sts.cn-hangzou.aliyuncs.com is refused",
            ),
            (
                Class::Protocol,
                Some(torn()),
                ": data error at line 1 column 2; the answer was not used",
            ),
        ];
        for (class, detail, expected) in table {
            let error = CallError::new(class, "Code");
            let error = match detail {
                Some(detail) => error.with_detail(detail),
                None => error,
            };
            let message = Problem::read("v", &asked("k"), &error).message;
            assert_eq!(message, format!("data[v] (k): Code{expected}"));
        }
    }

    #[test]
    fn a_failed_read_names_the_entry_the_code_and_the_request() {
        let error = CallError::new(Class::Denied, "NoPermission").with_request_id(Some("R-1"));
        let problem = Problem::read("password", &asked("/shop/db"), &error);
        assert_eq!(problem.reason, Reason::AccessDenied);
        assert_eq!(
            problem.message,
            "data[password] (/shop/db): NoPermission (request R-1); check what the store's identity may do, and \
             who may assume its role"
        );
    }
}
