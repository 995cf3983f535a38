//! What a principal may do: allow lists, and nothing else.

use serde_json::json;

use crate::account::{Kind, Principal};
use crate::pattern;
use crate::random;
use crate::refusal::Refusal;
use crate::seed::Rule;

/// What an action is done to.
///
/// A rule may name it by a pattern of its ARN, or, within the principal's own account, of its bare name.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) account: String,
    pub(crate) arn: String,
    pub(crate) name: String,
}

// === impl Resource ===

impl Resource {
    /// `acs:<service>:<region>:<account>:<kind>/<name>`, and the bare name.
    pub(crate) fn new(service: &str, region: &str, account: &str, kind: &str, name: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("acs:{service}:{region}:{account}:{kind}/{name}"),
            name: name.to_owned(),
        }
    }

    /// The same resource with another bare name.
    pub(crate) fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    pub(crate) fn matches(&self, allowed: &str, account: &str) -> bool {
        if allowed == "*" {
            true
        } else if allowed.starts_with("acs:") || allowed.starts_with("qcs:") {
            pattern::matches(allowed, &self.arn)
        } else {
            self.account == account && pattern::matches(allowed, &self.name)
        }
    }
}

/// Says whether any rule of a principal of this account allows the action on the resource.
pub(crate) fn allows(rules: &[Rule], account: &str, action: &str, resource: &Resource) -> bool {
    rules.iter().any(|rule| {
        rule.actions
            .iter()
            .any(|allowed| pattern::matches(allowed, action))
            && rule
                .resources
                .iter()
                .any(|allowed| resource.matches(allowed, account))
    })
}

/// The refusal of a principal that lacks a permission.
pub(crate) fn denied(principal: &Principal, action: &str) -> Refusal {
    refusal(
        principal,
        action,
        "Forbidden.RAM",
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
    )
}

/// The refusal of a principal that lacks a permission, with the code and the message of a service.
pub(crate) fn refusal(
    principal: &Principal,
    action: &str,
    code: &'static str,
    message: &str,
) -> Refusal {
    let (kind, name) = match &principal.kind {
        Kind::Root => ("Account", principal.account.clone()),
        Kind::User { name } => ("SubUser", name.clone()),
        Kind::Session { role, session } => ("AssumedRoleUser", format!("{role}:{session}")),
    };
    let mut refusal = Refusal::new(403, code, message);
    refusal.denied = Some(json!({
        "AuthAction": action,
        "AuthPrincipalType": kind,
        "AuthPrincipalDisplayName": name,
        "AuthPrincipalOwnerId": principal.account,
        "PolicyType": "AccountLevelIdentityBasedPolicy",
        "NoPermissionType": "ImplicitDeny",
        "EncodedDiagnosticMessage": random::alphanumeric(64),
    }));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(action: &str, resource: &str) -> [Rule; 1] {
        [Rule {
            actions: vec![action.into()],
            resources: vec![resource.into()],
        }]
    }

    #[test]
    fn a_rule_allows_its_actions_on_its_resources_only() {
        let rules = rules("oos:GetSecretParameter", "/shop/*");
        let of = |name| Resource::new("oos", "r", "1", "secretparameter", name);
        assert!(allows(
            &rules,
            "1",
            "oos:GetSecretParameter",
            &of("/shop/db")
        ));
        assert!(!allows(
            &rules,
            "1",
            "oos:GetSecretParameters",
            &of("/shop/db")
        ));
        assert!(!allows(
            &rules,
            "1",
            "oos:GetSecretParameter",
            &of("/bank/db")
        ));
        assert!(!allows(&[], "1", "oos:GetSecretParameter", &of("/shop/db")));
    }

    #[test]
    fn a_resource_of_another_account_is_allowed_by_its_arn_only() {
        let theirs = Resource::new("kms", "r", "2", "secret", "db");
        let may = |pattern| allows(&rules("kms:*", pattern), "1", "kms:GetSecretValue", &theirs);
        assert!(may("acs:kms:*:2:secret/*"));
        assert!(may("*"));
        assert!(!may("db"));
        assert!(!may("acs:kms:*:1:secret/*"));
    }
}
