//! Whose Secret it is. The label alone proves nothing: anybody can set it.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::inputs::Inputs;
use crate::api::names;

/// The longest text that is kept of a Secret, which anybody may fill: longer than any of ours.
const LONGEST_TEXT: usize = 400;

/// What is known of a Secret from its metadata. There may be very many, so it is small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFacts {
    /// Its UID.
    pub uid: Box<str>,
    /// The version these facts are of.
    pub resource_version: Arc<str>,
    /// Whether it carries the managed label.
    pub managed: bool,
    /// The object that its owner annotation names, as `NAMESPACE/NAME`.
    pub owner: Option<Box<str>>,
    /// The UID and a short description of its controller.
    pub controller: Option<(Arc<str>, Box<str>)>,
    /// What it was made of.
    pub inputs: Option<Inputs>,
    /// Whether the maps exist that a JSON Patch adds to.
    pub has_labels: bool,
    /// See `has_labels`.
    pub has_annotations: bool,
    /// See `has_labels`.
    pub has_owners: bool,
}

/// Whose a Secret is, seen from one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// The object made it.
    Ours,
    /// It is someone else's; the text says whose, as far as known.
    Foreign(String),
}

// === impl SecretFacts ===

/// The longest text that is taken for a UID.
const LONGEST_UID: usize = 64;

impl SecretFacts {
    /// The facts in a Secret's metadata.
    pub fn new(meta: &ObjectMeta) -> Self {
        let annotation = |name: &str| {
            let text = meta.annotations.as_ref().and_then(|all| all.get(name))?;
            (text.len() <= LONGEST_TEXT).then_some(text)
        };
        let label = |name: &str| meta.labels.as_ref().and_then(|all| all.get(name));
        let owners = meta.owner_references.as_deref().unwrap_or_default();
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        let describe = |owner: &OwnerReference| {
            let who = format!("{} {}", owner.kind, owner.name);
            // What is longer than any UID is nobody's.
            let uid = Some(&owner.uid).filter(|uid| uid.len() <= LONGEST_UID);
            let who: String = who.chars().take(LONGEST_TEXT).collect();
            (uid.map_or("", String::as_str).into(), who.into())
        };
        Self {
            uid: meta.uid.as_deref().unwrap_or_default().into(),
            resource_version: meta.resource_version.as_deref().unwrap_or_default().into(),
            managed: label(names::MANAGED_LABEL).is_some_and(|v| v == names::MANAGED_VALUE),
            owner: annotation(names::OWNER_ANNOTATION).map(|text| text.as_str().into()),
            controller: controller.map(describe),
            inputs: annotation(names::INPUTS_ANNOTATION).and_then(|text| Inputs::parse(text)),
            has_labels: meta.labels.is_some(),
            has_annotations: meta.annotations.is_some(),
            has_owners: !owners.is_empty(),
        }
    }

    /// Whether the Secret is ours by its label and annotation only, and lacks our ownerReference.
    pub fn is_unclaimed(&self, uid: &str, namespace: &str, name: &str) -> bool {
        self.controller.is_none() && self.ownership(uid, namespace, name) == Ownership::Ours
    }

    /// Whose the Secret is, for the object `namespace/name` with `uid`.
    ///
    /// Ours is a controller ownerReference with the object's UID, or the managed label together with
    /// the owner annotation and no controller at all (a Secret restored from a backup).
    pub fn ownership(&self, uid: &str, namespace: &str, name: &str) -> Ownership {
        match &self.controller {
            Some((controller, _)) if **controller == *uid => Ownership::Ours,
            Some((_, who)) => Ownership::Foreign(format!("it is controlled by {who}")),
            None if self.managed
                && self.owner.as_deref() == Some(&format!("{namespace}/{name}")) =>
            {
                Ownership::Ours
            }
            None => Ownership::Foreign("it was not made by this object".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(label: bool, owner: Option<&str>, controller: Option<&str>) -> ObjectMeta {
        let one = |key: &str, value: &str| Some([(key.to_owned(), value.to_owned())].into());
        let reference = |uid: &str| {
            vec![OwnerReference {
                uid: uid.into(),
                kind: "Thing".into(),
                name: "x".into(),
                controller: Some(true),
                ..Default::default()
            }]
        };
        ObjectMeta {
            labels: label.then(|| one(names::MANAGED_LABEL, "true")).flatten(),
            annotations: owner.and_then(|owner| one(names::OWNER_ANNOTATION, owner)),
            owner_references: controller.map(reference),
            ..Default::default()
        }
    }

    #[test]
    fn what_others_write_takes_no_memory() {
        let long = "x".repeat(100_000);
        let mut meta = meta(true, Some(&long), Some("other"));
        meta.owner_references.as_mut().unwrap()[0]
            .name
            .clone_from(&long);
        let annotations = meta.annotations.as_mut().unwrap();
        annotations.insert(names::INPUTS_ANNOTATION.to_owned(), format!("a.b.{long}"));
        let facts = SecretFacts::new(&meta);
        assert_eq!((&facts.owner, &facts.inputs), (&None, &None));
        assert_eq!(facts.controller.unwrap().1.len(), LONGEST_TEXT);
    }

    #[test]
    fn only_a_controller_reference_or_label_and_annotation_together_are_proof() {
        let table = [
            (meta(false, None, None), false, "a stranger's"),
            (meta(true, None, None), false, "the label alone"),
            (
                meta(false, Some("shop/db"), None),
                false,
                "the annotation alone",
            ),
            (
                meta(true, Some("shop/other"), None),
                false,
                "another object's annotation",
            ),
            (meta(true, Some("shop/db"), None), true, "a restored Secret"),
            (
                meta(false, None, Some("uid")),
                true,
                "our controller reference",
            ),
            (
                meta(true, Some("shop/db"), Some("other")),
                false,
                "another controller",
            ),
        ];
        for (meta, ours, what) in table {
            let facts = SecretFacts::new(&meta);
            let ownership = facts.ownership("uid", "shop", "db");
            assert_eq!(ownership == Ownership::Ours, ours, "{what}: {ownership:?}");
            let restored = what == "a restored Secret";
            assert_eq!(facts.is_unclaimed("uid", "shop", "db"), restored, "{what}");
        }
    }
}
