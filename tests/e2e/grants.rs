//! Permissions: as the chart's file lists them, and as the API server says that somebody has them.

use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{ResourceRule, SelfSubjectRulesReview};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::json;

use super::operator::RBAC;

/// One permission: group, resource, names and verb.
pub type Grant = (String, String, Vec<String>, String);

/// The chart's file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rules {
    pub cluster: Vec<PolicyRule>,
    pub operator_namespace: Vec<PolicyRule>,
    pub tokens: Vec<PolicyRule>,
    pub watched_namespace: Vec<PolicyRule>,
    pub cluster_stores: Vec<PolicyRule>,
    pub namespace_labels: Vec<PolicyRule>,
}

impl Rules {
    /// What the file says.
    pub fn read() -> Self {
        serde_saphyr::from_str(RBAC).unwrap()
    }
}

fn grants(
    groups: &[String],
    resources: &[String],
    names: &[String],
    verbs: &[String],
) -> Vec<Grant> {
    let mut grants = Vec::new();
    for group in groups {
        for resource in resources {
            let grant = |verb: &String| {
                (
                    group.clone(),
                    resource.clone(),
                    names.to_vec(),
                    verb.clone(),
                )
            };
            grants.extend(verbs.iter().map(grant));
        }
    }
    grants
}

/// The permissions of `rules`, for these names besides their own.
pub fn table(rules: &[PolicyRule], names: &[&str]) -> BTreeSet<Grant> {
    let expand = |rule: &PolicyRule| {
        let some = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let mut all = some(&rule.resource_names);
        all.extend(names.iter().map(ToString::to_string));
        grants(
            &some(&rule.api_groups),
            &some(&rule.resources),
            &all,
            &rule.verbs,
        )
    };
    rules.iter().flat_map(expand).collect()
}

/// What the API server says `client` may do in `namespace`, less what everybody may.
pub async fn allowed(client: Client, namespace: &str) -> BTreeSet<Grant> {
    let api: Api<SelfSubjectRulesReview> = Api::all(client);
    let review = json!({ "metadata": {}, "spec": { "namespace": namespace } });
    let review: SelfSubjectRulesReview = serde_json::from_value(review).unwrap();
    let status = api
        .create(&PostParams::default(), &review)
        .await
        .unwrap()
        .status
        .unwrap();
    assert!(!status.incomplete, "{:?}", status.evaluation_error);
    let everybodys = ["authorization.k8s.io", "authentication.k8s.io"];
    let some = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let expand = |rule: &ResourceRule| {
        let (groups, resources) = (some(&rule.api_groups), some(&rule.resources));
        grants(
            &groups,
            &resources,
            &some(&rule.resource_names),
            &rule.verbs,
        )
    };
    let grants = status.resource_rules.iter().flat_map(expand);
    grants
        .filter(|grant| !everybodys.contains(&&*grant.0))
        .collect()
}
