//! What refusals mean, by what was asked.

use super::super::code;
use crate::provider::{CallError, Class, Detail, Name};

/// What a refused read of a version means that the reference itself names. Which code an unknown version
/// has is not documented; any that may be it says that there is no such version, and may change.
pub(super) fn no_such_version(error: CallError) -> CallError {
    if !may_pass(&error) {
        return error;
    }
    error.into_class(Class::NotFound).with_detail(Detail::Fixed(
        "there is no such version; see remoteRef.version and the secret's versions",
    ))
}

/// What a refused read of a version means that the reference does not name. Only that there is no such
/// secret may say that it is gone.
pub(super) fn no_version_by_rule(error: CallError, hidden: bool) -> CallError {
    if !may_pass(&error) {
        return error;
    }
    if hidden {
        return error.into_class(Class::Denied).with_detail(Detail::Fixed(
            "the secret has no version SSM_Current, and which versions it has may not be asked: allow \
             ssm:DescribeSecret and ssm:ListSecretVersionIds, or name a version",
        ));
    }
    error.into_class(Class::Protocol).with_detail(Detail::Fixed(
        "the version that is the newest, or current, cannot be read; it may have been deleted just now",
    ))
}

/// What it means that something may not be asked of a secret whose newest version was found before.
pub(super) fn not_any_more(error: CallError) -> CallError {
    error.with_detail(Detail::Fixed(
        "the newest version was read before, and which it is may not be asked any more: allow \
         ssm:DescribeSecret and ssm:ListSecretVersionIds, or name a version",
    ))
}

/// What a refusal means of any other call for a reference that names no version.
pub(super) fn not_as_it_was(error: CallError) -> CallError {
    if !may_pass(&error) {
        return error;
    }
    error.into_class(Class::Protocol).with_detail(Detail::Fixed(
        "the secret is not what it was, as if made anew just now, or its name is none that SSM takes",
    ))
}

/// Whether something is missing or unfit that is neither the secret nor the region: another version, or
/// another kind, may not be.
fn may_pass(error: &CallError) -> bool {
    let unknown = matches!(error.class, Class::NotFound | Class::Invalid);
    unknown && ![code::NO_SECRET, code::NO_REGION].contains(&error.code())
}

/// The same error, which names the action that the policy does not allow: the gateway says no more than that.
pub(super) fn naming(error: CallError, action: &'static str) -> CallError {
    if !code::is_no_permission(error.code()) {
        return error;
    }
    error.with_detail(Detail::Named(
        "the identity's policy does not allow, of this secret in the store's region,",
        Name::new(action),
    ))
}
