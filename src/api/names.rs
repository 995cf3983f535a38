//! The names that users, tools and other operators see: group, labels, annotations, well-known
//! objects.

/// The API group of every kind.
pub const GROUP: &str = "cloudsecrets.dev";
/// The API version of every kind.
pub const VERSION: &str = "v1alpha1";

/// What the names of all our labels and annotations begin with.
pub const PREFIX: &str = "cloudsecrets.dev/";
/// Label on every Secret that the operator manages; its value is [`MANAGED_VALUE`]. Alone it proves
/// nothing.
pub const MANAGED_LABEL: &str = "cloudsecrets.dev/managed";
/// The value of [`MANAGED_LABEL`].
pub const MANAGED_VALUE: &str = "true";

/// Annotation on an object or a store: any new value means refresh now.
pub const REFRESH_ANNOTATION: &str = "cloudsecrets.dev/refresh";
/// Annotation on a managed Secret: NAMESPACE/NAME of the object it belongs to.
pub const OWNER_ANNOTATION: &str = "cloudsecrets.dev/owner";
/// Annotation on a managed Secret: the keyed digest of the rendered spec and values.
pub const INPUTS_ANNOTATION: &str = "cloudsecrets.dev/inputs";
/// Annotation on a managed Secret: when its data last changed.
pub const CHANGED_AT_ANNOTATION: &str = "cloudsecrets.dev/changed-at";

/// The Lease, in the operator's namespace, whose holder leads: one for the operators of each class.
pub fn lease(class: Option<&str>) -> String {
    const LEASE: &str = "external-cloud-secrets";
    class.map_or_else(|| LEASE.to_owned(), |class| format!("{LEASE}-{class}"))
}

/// The Secret, in the operator's namespace, that holds the digest key. All classes share it, so that an
/// object that goes over to another operator there needs no new digests.
pub const DIGEST_KEY_SECRET: &str = "external-cloud-secrets-digest-key";

/// Annotation on the Lease: since when something was due, at the last renewal, and not done yet.
pub const OVERDUE_ANNOTATION: &str = "cloudsecrets.dev/overdue-since";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_lease_of_its_own() {
        assert_eq!(lease(None), "external-cloud-secrets");
        assert_eq!(lease(Some("a")), "external-cloud-secrets-a");
    }
}
