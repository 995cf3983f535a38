//! The only writes: one POST for a new Secret, afterwards a JSON Patch that carries the version it
//! was decided on, so that a race answers 409 and is looked at again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, ReplaceOperation, TestOperation};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::inputs::{Data, Inputs, data_digest};
use super::ownership::{Ownership, SecretFacts};
use super::plan::conflict;
use super::problem::Problem;
use super::refusal::refused_or_passing;
use crate::api::{ExternalCloudSecret, Reason, names};
use crate::digest::DigestKey;

/// The type of every Secret we make.
const TYPE: &str = "Opaque";
/// How much of another type is shown.
const LONGEST_TYPE: usize = 100;
/// How often a write is decided anew when somebody else was faster.
const TRIES: usize = 3;

/// How a write ended.
#[derive(Debug)]
pub enum Fate {
    /// The Secret is new.
    Created(SecretFacts),
    /// Its data was replaced.
    Updated(SecretFacts),
    /// It held the data already; only what it says about it was written.
    Annotated(SecretFacts),
    /// It is not ours, or the API server refuses it.
    Refused(Problem),
}

/// Why a write has to be tried again later.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server did not do it, for a reason that passes.
    #[error("the API server answered {0}")]
    Passing(String),
}

/// The Secret as it is to be.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The object it is made for.
    pub object: &'a ExternalCloudSecret,
    /// All keys.
    pub data: &'a Data,
    /// What it says about itself.
    pub inputs: &'a Inputs,
    /// The key of all digests.
    pub key: &'a DigestKey,
    /// When this is.
    pub now: Timestamp,
    /// Only a Secret that is missing may be made: one that turns out to be there stays as it is.
    pub only_missing: bool,
}

// === impl Fate ===

impl Fate {
    /// The name in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created(_) => "created",
            Self::Updated(_) => "updated",
            Self::Annotated(_) => "annotated",
            Self::Refused(_) => "refused",
        }
    }
}

// === impl Wanted ===

impl Wanted<'_> {
    /// Makes the Secret so, starting from what is known of it.
    ///
    /// # Errors
    /// A failure that passes by itself.
    pub async fn write(
        &self,
        client: &Client,
        known: Option<&SecretFacts>,
    ) -> Result<Fate, WriteError> {
        let api: Api<Secret> = Api::namespaced(client.clone(), &self.namespace());
        let mut known = known.cloned();
        for _ in 0..TRIES {
            let before = known.clone();
            let answer = match &known {
                None => self.create(&api).await,
                Some(facts) => self.update(&api, facts).await,
            };
            match answer {
                Ok(fate) => return Ok(fate),
                Err(kube::Error::Api(status)) if self.only_missing && status.code == 409 => {
                    return Err(WriteError::Passing("Conflict".to_owned()));
                }
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                    known = match api.get_metadata_opt(&self.object.target_name()).await {
                        Ok(found) => found.map(|found| SecretFacts::new(&found.metadata)),
                        Err(error) => return refused_or_passing(error),
                    };
                    // A POST whose answer was lost has done its work.
                    if let (None, Some(made)) = (&before, &known)
                        && made.managed
                        && made.controller.as_ref().is_some_and(|(uid, _)| {
                            Some(&**uid) == self.object.metadata.uid.as_deref()
                        })
                        && made.inputs.as_ref() == Some(self.inputs)
                    {
                        return Ok(Fate::Created(made.clone()));
                    }
                }
                Err(error) => return refused_or_passing(error),
            }
        }
        Err(WriteError::Passing("Conflict".to_owned()))
    }

    async fn create(&self, api: &Api<Secret>) -> kube::Result<Fate> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.object.target_name()),
                namespace: Some(self.namespace()),
                labels: Some(labels()),
                annotations: Some(self.annotations(true)),
                owner_references: Some(vec![self.owner()]),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            data: Some(self.bytes()),
            ..Secret::default()
        };
        let created = api.create(&PostParams::default(), &secret).await?;
        Ok(Fate::Created(SecretFacts::new(&created.metadata)))
    }

    /// Whether the object itself is still there, and not about to go: asked, not remembered.
    async fn is_there(&self, api: &Api<Secret>) -> kube::Result<bool> {
        let client = api.clone().into_client();
        let objects: Api<ExternalCloudSecret> = Api::namespaced(client, &self.namespace());
        let found = objects.get_metadata_opt(&self.object.name_any()).await?;
        Ok(found.is_some_and(|found| {
            found.metadata.uid == self.object.metadata.uid
                && found.metadata.deletion_timestamp.is_none()
        }))
    }

    async fn update(&self, api: &Api<Secret>, facts: &SecretFacts) -> kube::Result<Fate> {
        let name = self.object.target_name();
        let (uid, namespace) = (self.object.uid().unwrap_or_default(), self.namespace());
        if let Ownership::Foreign(why) = facts.ownership(&uid, &namespace, &self.object.name_any())
        {
            return Ok(Fate::Refused(conflict(&name, &why)));
        }
        if facts.controller.is_none() && !self.is_there(api).await? {
            // An ownerReference to an object that is going would take the Secret with it.
            let message = "the object is being deleted, and the Secret is not";
            return Ok(Fate::Refused(Problem::new(Reason::Pending, message)));
        }
        // What comes from a backup, was read by another identity, written under a lost key or by a
        // hand may hold the data already: then only what it says about itself is wrong, and the data
        // stays untouched.
        let other = facts.inputs.as_ref().is_some_and(|inputs| {
            inputs.is_under(self.key) && !inputs.holds_the_same_as(self.inputs)
        });
        let same = !other && {
            let live = api.get(&name).await?;
            live.resource_version().as_deref() == Some(&facts.resource_version)
                && self.inputs.holds(self.key, live_digest(self.key, &live))
        };
        let patch = self.patch(facts, !same);
        let (params, patch) = (PatchParams::default(), Patch::Json::<Secret>(patch));
        let patched = match api.patch_metadata(&name, &params, &patch).await {
            Ok(patched) => patched,
            Err(error) => return Self::refused_for_its_type(api, &name, error).await,
        };
        let facts = SecretFacts::new(&patched.metadata);
        Ok(if same {
            Fate::Annotated(facts)
        } else {
            Fate::Updated(facts)
        })
    }

    /// Says so where a patch failed because the Secret is of another type; else gives `error` back.
    async fn refused_for_its_type(
        api: &Api<Secret>,
        name: &str,
        error: kube::Error,
    ) -> kube::Result<Fate> {
        if !matches!(&error, kube::Error::Api(status) if status.code == 422) {
            return Err(error);
        }
        match api.get(name).await?.type_ {
            Some(other) if other != TYPE => {
                let other: String = other.chars().take(LONGEST_TYPE).collect();
                let why = format!("it is of type {other}, not {TYPE}");
                Ok(Fate::Refused(conflict(name, &why)))
            }
            _ => Err(error),
        }
    }

    fn patch(&self, facts: &SecretFacts, with_data: bool) -> json_patch::Patch {
        let mut operations = vec![
            // A Secret of another type, such as a ServiceAccount's token, is never written,
            // whatever its metadata says.
            PatchOperation::Test(TestOperation {
                path: pointer(&["type"]),
                value: json!(TYPE),
            }),
            PatchOperation::Replace(ReplaceOperation {
                path: pointer(&["metadata", "resourceVersion"]),
                value: json!(*facts.resource_version),
            }),
        ];
        let mut add = |path: &[&str], value: Value| {
            operations.push(PatchOperation::Add(AddOperation {
                path: pointer(path),
                value,
            }));
        };
        if with_data {
            add(&["data"], json!(self.bytes()));
        }
        let annotations = self.annotations(with_data);
        if facts.has_annotations {
            for (name, value) in annotations {
                add(&["metadata", "annotations", &name], json!(value));
            }
        } else {
            add(&["metadata", "annotations"], json!(annotations));
        }
        if !facts.has_labels {
            add(&["metadata", "labels"], json!(labels()));
        } else if !facts.managed {
            add(
                &["metadata", "labels", names::MANAGED_LABEL],
                json!(names::MANAGED_VALUE),
            );
        }
        if !facts.has_owners {
            add(&["metadata", "ownerReferences"], json!([self.owner()]));
        } else if facts.controller.is_none() {
            add(&["metadata", "ownerReferences", "-"], json!(self.owner()));
        }
        json_patch::Patch(operations)
    }

    fn annotations(&self, changed: bool) -> BTreeMap<String, String> {
        let owner = format!("{}/{}", self.namespace(), self.object.name_any());
        let mut annotations = BTreeMap::from([
            (names::OWNER_ANNOTATION.to_owned(), owner),
            (names::INPUTS_ANNOTATION.to_owned(), self.inputs.to_string()),
        ]);
        if changed {
            let now = crate::api::condition::whole_seconds(self.now).0.to_string();
            annotations.insert(names::CHANGED_AT_ANNOTATION.to_owned(), now);
        }
        annotations
    }

    fn bytes(&self) -> BTreeMap<String, ByteString> {
        let bytes = self
            .data
            .iter()
            .map(|(name, value)| (name, value.expose().to_vec()));
        bytes
            .map(|(name, value)| (name.clone(), ByteString(value)))
            .collect()
    }

    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: ExternalCloudSecret::api_version(&()).into_owned(),
            kind: ExternalCloudSecret::kind(&()).into_owned(),
            name: self.object.name_any(),
            uid: self.object.uid().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: None,
        }
    }

    fn namespace(&self) -> String {
        self.object.namespace().unwrap_or_default()
    }
}

/// Reads a Secret once and says whether its data is what it was written with.
///
/// # Errors
/// The API server's.
pub async fn intact(
    client: &Client,
    key: &DigestKey,
    namespace: &str,
    name: &str,
) -> kube::Result<Option<(SecretFacts, bool)>> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let Some(live) = api.get_opt(name).await? else {
        return Ok(None);
    };
    let facts = SecretFacts::new(&live.metadata);
    // An annotation under another key proves nothing either way; the values decide at their slot.
    let intact = facts
        .inputs
        .as_ref()
        .is_some_and(|inputs| !inputs.is_under(key) || inputs.holds(key, live_digest(key, &live)));
    Ok(Some((facts, intact)))
}

/// Deletes a Secret that a rename left behind, if it still is exactly what was looked at: whoever
/// took our ownerReference off it meanwhile keeps it.
///
/// # Errors
/// The API server's, save that it is gone. A Secret that changed is a conflict, to be decided anew.
pub async fn delete_surplus(
    client: &Client,
    namespace: &str,
    name: &str,
    facts: &SecretFacts,
) -> kube::Result<()> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: Some(facts.uid.to_string()),
        resource_version: Some(facts.resource_version.to_string()),
    });
    match api.delete(name, &params).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()),
    }
}

fn live_digest(key: &DigestKey, secret: &Secret) -> crate::digest::Digest {
    let data = secret
        .data
        .iter()
        .flatten()
        .map(|(name, value)| (name, value.0.as_slice()));
    data_digest(key, data)
}

fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([(
        names::MANAGED_LABEL.to_owned(),
        names::MANAGED_VALUE.to_owned(),
    )])
}

fn pointer(tokens: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(tokens.iter().copied())
}
