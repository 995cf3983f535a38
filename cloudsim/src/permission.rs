//! What a principal may do: allow lists, and nothing else.

use serde_json::json;

use crate::account::{Kind, Principal};
use crate::pattern;
use crate::random;
use crate::refusal::Refusal;
use crate::seed::Rule;

/// Says whether any rule allows the action on the resource.
pub(crate) fn allows(rules: &[Rule], action: &str, resource: &str) -> bool {
    rules.iter().any(|rule| {
        rule.actions
            .iter()
            .any(|allowed| pattern::matches(allowed, action))
            && rule
                .resources
                .iter()
                .any(|allowed| pattern::matches(allowed, resource))
    })
}

/// The refusal of a principal that lacks a permission.
pub(crate) fn denied(principal: &Principal, action: &str) -> Refusal {
    let (kind, name) = match &principal.kind {
        Kind::Root => ("Account", principal.account.clone()),
        Kind::User { name } => ("SubUser", name.clone()),
        Kind::Session { role, session } => ("AssumedRoleUser", format!("{role}:{session}")),
    };
    let mut refusal = Refusal::new(
        403,
        "Forbidden.RAM",
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
    );
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

    #[test]
    fn a_rule_allows_its_actions_on_its_resources_only() {
        let rules = [Rule {
            actions: vec!["oos:GetSecretParameter".into()],
            resources: vec!["/shop/*".into()],
        }];
        assert!(allows(&rules, "oos:GetSecretParameter", "/shop/db"));
        assert!(!allows(&rules, "oos:GetSecretParameters", "/shop/db"));
        assert!(!allows(&rules, "oos:GetSecretParameter", "/bank/db"));
        assert!(!allows(&[], "oos:GetSecretParameter", "/shop/db"));
    }
}
