//! Conditions: their types, statuses and reasons, and the one way to set them.

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// On an object: a Secret that satisfies this generation exists. On a store: the spec and the
/// identity resolve.
pub const READY: &str = "Ready";
/// The last due refresh worked.
pub const FRESH: &str = "Fresh";
/// On a store: its endpoint answers, as far as the calls through it tell.
pub const REACHABLE: &str = "Reachable";
/// Present only when true: not Ready, and nothing but a change by the user can help. GitOps tools that
/// wait give up at it.
pub const STALLED: &str = "Stalled";

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known yet.
    Unknown,
}

/// Why a condition has its status. Users and alerts match on these, so they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Ready: the Secret satisfies this generation.
    SecretReady,
    /// Fresh: the last due refresh worked.
    Refreshed,
    /// Ready, of a store: the spec and the identity resolve.
    StoreReady,
    /// Reachable, of a store: no outage of its endpoint is known.
    NoOutage,
    /// Nothing is known yet.
    Pending,
    /// The object or the store says not to act.
    Suspended,
    /// The spec cannot work as it stands.
    InvalidSpec,
    /// A store that is named does not exist.
    StoreNotFound,
    /// A store that is named is not ready.
    StoreNotReady,
    /// The store's rules do not admit this namespace or key.
    StoreDenied,
    /// The cloud has no such secret, parameter or version.
    RemoteNotFound,
    /// The value has no such property.
    PropertyNotFound,
    /// The cloud does not accept the identity.
    AuthenticationFailed,
    /// The cloud knows the identity and refuses.
    AccessDenied,
    /// The Secret belongs to someone else.
    TargetConflict,
    /// The Secret would be larger than Kubernetes allows.
    TooLarge,
    /// The API server refused the write: quota, admission or RBAC.
    WriteRefused,
    /// The cloud did not answer, or not in time.
    ProviderUnavailable,
    /// The cloud asked to be called less often.
    Throttled,
    /// The cloud's answer made no sense.
    UnexpectedResponse,
}

/// Sets the condition `type_`, adding it if absent. `lastTransitionTime` becomes `now`, cut to whole
/// seconds, only when the status changes. Returns whether anything changed.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: ConditionStatus,
    reason: Reason,
    message: impl Into<String>,
    observed_generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let wanted = Condition {
        type_: type_.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        message: message.into(),
        observed_generation,
        last_transition_time: whole_seconds(now),
    };
    let Some(current) = conditions.iter_mut().find(|c| c.type_ == type_) else {
        conditions.push(wanted);
        return true;
    };
    let wanted = Condition {
        last_transition_time: if current.status == wanted.status {
            current.last_transition_time.clone()
        } else {
            wanted.last_transition_time
        },
        ..wanted
    };
    let changed = *current != wanted;
    *current = wanted;
    changed
}

/// Removes the condition `type_`. Returns whether it was there.
pub fn remove_condition(conditions: &mut Vec<Condition>, type_: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c.type_ != type_);
    conditions.len() != before
}

/// The condition `type_`, if present.
pub fn find_condition<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

/// Whether the condition `type_` is present and true.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find_condition(conditions, type_).is_some_and(|c| c.status == ConditionStatus::True.as_str())
}

/// A time as status holds it: cut to whole seconds, so that what is read back equals what was
/// written.
pub fn whole_seconds(at: Timestamp) -> Time {
    let floor = jiff::TimestampRound::new()
        .smallest(Unit::Second)
        .mode(jiff::RoundMode::Floor);
    Time(at.round(floor).unwrap_or(at))
}

// === impl ConditionStatus ===

impl ConditionStatus {
    /// The status as it stands in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason, for tables and metrics.
    pub const ALL: [Self; 20] = [
        Self::SecretReady,
        Self::Refreshed,
        Self::StoreReady,
        Self::NoOutage,
        Self::Pending,
        Self::Suspended,
        Self::InvalidSpec,
        Self::StoreNotFound,
        Self::StoreNotReady,
        Self::StoreDenied,
        Self::RemoteNotFound,
        Self::PropertyNotFound,
        Self::AuthenticationFailed,
        Self::AccessDenied,
        Self::TargetConflict,
        Self::TooLarge,
        Self::WriteRefused,
        Self::ProviderUnavailable,
        Self::Throttled,
        Self::UnexpectedResponse,
    ];

    /// The reason as it stands in conditions, events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretReady => "SecretReady",
            Self::Refreshed => "Refreshed",
            Self::StoreReady => "StoreReady",
            Self::NoOutage => "NoOutage",
            Self::Pending => "Pending",
            Self::Suspended => "Suspended",
            Self::InvalidSpec => "InvalidSpec",
            Self::StoreNotFound => "StoreNotFound",
            Self::StoreNotReady => "StoreNotReady",
            Self::StoreDenied => "StoreDenied",
            Self::RemoteNotFound => "RemoteNotFound",
            Self::PropertyNotFound => "PropertyNotFound",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::AccessDenied => "AccessDenied",
            Self::TargetConflict => "TargetConflict",
            Self::TooLarge => "TooLarge",
            Self::WriteRefused => "WriteRefused",
            Self::ProviderUnavailable => "ProviderUnavailable",
            Self::Throttled => "Throttled",
            Self::UnexpectedResponse => "UnexpectedResponse",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 500_000_000).unwrap()
    }

    fn fresh() -> Vec<Condition> {
        let mut conditions = Vec::new();
        let (status, reason) = (ConditionStatus::True, Reason::Refreshed);
        assert!(set_condition(
            &mut conditions,
            FRESH,
            status,
            reason,
            "",
            Some(1),
            at(10)
        ));
        conditions
    }

    #[test]
    fn an_equal_condition_changes_nothing() {
        let mut conditions = fresh();
        let before = conditions.clone();
        let (status, reason) = (ConditionStatus::True, Reason::Refreshed);
        assert!(!set_condition(
            &mut conditions,
            FRESH,
            status,
            reason,
            "",
            Some(1),
            at(20)
        ));
        assert_eq!(conditions, before);
    }

    #[test]
    fn a_new_status_moves_the_transition_time() {
        let mut conditions = fresh();
        let (status, reason) = (ConditionStatus::False, Reason::Throttled);
        assert!(set_condition(
            &mut conditions,
            FRESH,
            status,
            reason,
            "slow down",
            Some(1),
            at(20)
        ));
        let condition = find_condition(&conditions, FRESH).unwrap();
        assert_eq!(condition.reason, "Throttled");
        assert_eq!(condition.message, "slow down");
        assert_eq!(
            condition.last_transition_time.0,
            Timestamp::new(20, 0).unwrap()
        );
    }

    #[test]
    fn a_new_reason_message_or_generation_keeps_the_transition_time() {
        for (reason, message, generation) in [
            (Reason::Suspended, "", 1),
            (Reason::Refreshed, "all is well", 1),
            (Reason::Refreshed, "", 2),
        ] {
            let mut conditions = fresh();
            let status = ConditionStatus::True;
            assert!(set_condition(
                &mut conditions,
                FRESH,
                status,
                reason,
                message,
                Some(generation),
                at(20)
            ));
            let condition = find_condition(&conditions, FRESH).unwrap();
            assert_eq!(
                condition.last_transition_time.0,
                Timestamp::new(10, 0).unwrap()
            );
            assert_eq!(condition.observed_generation, Some(generation));
        }
    }

    #[test]
    fn a_condition_that_was_set_reads_back_equal() {
        let conditions = fresh();
        let text = serde_json::to_string(&conditions).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<Condition>>(&text).unwrap(),
            conditions
        );
    }

    #[test]
    fn a_removed_condition_leaves_its_neighbours() {
        let mut conditions = fresh();
        let (status, reason) = (ConditionStatus::True, Reason::InvalidSpec);
        set_condition(&mut conditions, STALLED, status, reason, "", None, at(20));
        assert!(is_true(&conditions, STALLED));
        assert!(remove_condition(&mut conditions, STALLED));
        assert!(!remove_condition(&mut conditions, STALLED));
        assert!(!is_true(&conditions, STALLED));
        assert!(is_true(&conditions, FRESH));
    }

    #[test]
    fn every_reason_has_a_name_of_its_own_that_conditions_allow() {
        let names: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for (reason, name) in Reason::ALL.iter().zip(Reason::ALL.map(Reason::as_str)) {
            assert_eq!(format!("{reason:?}"), name);
        }
    }
}
