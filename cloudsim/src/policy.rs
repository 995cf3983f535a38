//! RAM policy documents: permissions of a principal or a session, and trust in who may assume a role.

use serde_json::Value;

use crate::pattern;
use crate::permission::Resource;

mod cam;
mod resource;

pub(crate) use resource::{ResourcePolicy, Statement as ResourceStatement};

/// A permission policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// A trust policy: who may assume a role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TrustPolicy {
    /// Whether it is a document, and so says everything about who may assume the role.
    pub(crate) complete: bool,
    pub(crate) grants: Vec<Grant>,
}

/// One statement of a trust policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    /// ARNs of users, roles, or whole accounts (`acs:ram::<account>:root`).
    pub(crate) principals: Vec<String>,
    /// Services, such as `ecs.aliyuncs.com`.
    pub(crate) services: Vec<String>,
    /// ARNs of identity providers.
    pub(crate) providers: Vec<String>,
    pub(crate) conditions: Vec<Condition>,
}

/// What must hold beside: one of the values for the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
    /// Whether the values are patterns.
    pub(crate) like: bool,
}

/// What is wrong with a document.
type Wrong = &'static str;

fn strings(value: &Value) -> Result<Vec<String>, Wrong> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all = match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => text(other).map(|one| vec![one]),
    };
    all.filter(|all: &Vec<String>| !all.is_empty())
        .ok_or("strings are expected, and at least one")
}

fn statements(document: &Value) -> Result<Vec<&Value>, Wrong> {
    let document = document.as_object().ok_or("it is not an object")?;
    if document.get("Version").and_then(Value::as_str) != Some("1") {
        return Err("its Version is not \"1\"");
    }
    if document
        .keys()
        .any(|key| key != "Version" && key != "Statement")
    {
        return Err("it has an unknown field");
    }
    match document.get("Statement") {
        Some(Value::Array(all)) if !all.is_empty() => Ok(all.iter().collect()),
        Some(one @ Value::Object(_)) => Ok(vec![one]),
        _ => Err("it has no Statement"),
    }
}

/// Checks that a statement has no fields but these, and says whether it allows.
fn effect(statement: &Value, fields: &[&str]) -> Result<bool, Wrong> {
    let keys = statement
        .as_object()
        .ok_or("a statement is not an object")?;
    if keys.keys().any(|key| !fields.contains(&key.as_str())) {
        return Err("a statement has a field that this server does not evaluate");
    }
    match statement["Effect"].as_str() {
        Some("Allow") => Ok(true),
        Some("Deny") => Ok(false),
        _ => Err("an Effect is neither Allow nor Deny"),
    }
}

// === impl Policy ===

impl Policy {
    /// Reads a document. What would not be obeyed, such as conditions, is refused.
    pub(crate) fn read(document: &Value) -> Result<Self, Wrong> {
        let read = |statement: &Value| {
            let resources = strings(&statement["Resource"])?;
            let is_arn = |resource: &String| resource == "*" || resource.starts_with("acs:");
            if !resources.iter().all(is_arn) {
                return Err("a Resource is neither * nor an ARN");
            }
            Ok(Statement {
                allows: effect(statement, &["Effect", "Action", "Resource"])?,
                actions: strings(&statement["Action"])?,
                resources,
            })
        };
        let statements = statements(document)?.into_iter().map(read);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }

    /// Says whether it allows or denies; `None` if it says nothing. A denial wins.
    pub(crate) fn decide(&self, account: &str, action: &str, resource: &Resource) -> Option<bool> {
        let about = |statement: &&Statement| {
            let mut actions = statement.actions.iter();
            let mut resources = statement.resources.iter();
            actions.any(|allowed| pattern::matches(allowed, action))
                && resources.any(|allowed| resource.matches(allowed, account))
        };
        let said = self.statements.iter().filter(about);
        said.map(|statement| statement.allows)
            .reduce(|one, other| one && other)
    }
}

// === impl TrustPolicy ===

impl TrustPolicy {
    /// Reads a document.
    pub(crate) fn read(document: &Value) -> Result<Self, Wrong> {
        let read = |statement: &Value| {
            let fields = ["Effect", "Action", "Principal", "Condition"];
            if !effect(statement, &fields)? {
                return Err("a Deny is not evaluated in a trust policy");
            }
            let actions = strings(&statement["Action"])?;
            if !actions
                .iter()
                .any(|action| pattern::matches(action, "sts:AssumeRole"))
            {
                return Err("an Action is not sts:AssumeRole");
            }
            let mut grant = Grant::default();
            let principal = statement["Principal"].as_object();
            for (kind, value) in principal.ok_or("a Principal is not an object")? {
                match kind.as_str() {
                    "RAM" => grant.principals = strings(value)?,
                    "Service" => grant.services = strings(value)?,
                    "Federated" => grant.providers = strings(value)?,
                    _ => return Err("a kind of Principal is unknown"),
                }
            }
            grant.conditions = conditions(&statement["Condition"])?;
            Ok(grant)
        };
        let grants = statements(document)?.into_iter().map(read);
        Ok(Self {
            complete: true,
            grants: grants.collect::<Result<_, _>>()?,
        })
    }

    /// Says whether a user or role of an account is trusted, given the external id it sends.
    pub(crate) fn admits_principal(
        &self,
        arn: &str,
        account: &str,
        external_id: Option<&str>,
    ) -> bool {
        let root = format!("acs:ram::{account}:root");
        let facts: Vec<_> = external_id
            .map(|id| ("sts:ExternalId", id))
            .into_iter()
            .collect();
        self.grants.iter().any(|grant| {
            let mut principals = grant.principals.iter();
            principals.any(|trusted| *trusted == root || trusted == arn) && grant.hold(&facts)
        })
    }

    /// Says whether a service is trusted. Only a document could say that it is not.
    pub(crate) fn admits_service(&self, service: &str) -> bool {
        let mut grants = self.grants.iter();
        !self.complete
            || grants
                .any(|grant| grant.services.iter().any(|known| known == service) && grant.hold(&[]))
    }

    /// Says whether a token of a provider is trusted, with what it says as facts.
    pub(crate) fn admits_token(&self, provider: &str, facts: &[(&str, &str)]) -> bool {
        let mut grants = self.grants.iter();
        grants
            .any(|grant| grant.providers.iter().any(|known| known == provider) && grant.hold(facts))
    }
}

// === impl Grant ===

impl Grant {
    fn hold(&self, facts: &[(&str, &str)]) -> bool {
        self.conditions.iter().all(|condition| {
            let mut said = facts.iter().filter(|(key, _)| *key == condition.key);
            said.any(|(_, fact)| condition.admits(fact))
        })
    }
}

// === impl Condition ===

impl Condition {
    fn admits(&self, fact: &str) -> bool {
        self.values.iter().any(|value| {
            if self.like {
                pattern::matches(value, fact)
            } else {
                value == fact
            }
        })
    }
}

fn conditions(value: &Value) -> Result<Vec<Condition>, Wrong> {
    let mut all = Vec::new();
    let Some(operators) = value.as_object() else {
        return if value.is_null() {
            Ok(all)
        } else {
            Err("a Condition is not an object")
        };
    };
    for (operator, keys) in operators {
        let like = match operator.as_str() {
            "StringEquals" => false,
            "StringLike" => true,
            _ => return Err("a Condition has an operator that this server does not evaluate"),
        };
        for (key, values) in keys.as_object().ok_or("a Condition is not an object")? {
            let known = ["sts:ExternalId", "oidc:iss", "oidc:aud", "oidc:sub"];
            if !known.contains(&key.as_str()) {
                return Err("a Condition has a key that this server does not evaluate");
            }
            all.push(Condition {
                key: key.clone(),
                values: strings(values)?,
                like,
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_denial_wins_and_silence_is_neither() {
        let policy = Policy::read(&json!({
            "Version": "1",
            "Statement": [
                { "Effect": "Allow", "Action": "kms:*", "Resource": "acs:kms:*:*:secret/shop/*" },
                { "Effect": "Deny", "Action": ["kms:DeleteSecret"], "Resource": ["*"] },
            ],
        }))
        .unwrap();
        let secret = |name| Resource::new("kms", "r", "1", "secret", name);
        let decide = |action, name| policy.decide("1", action, &secret(name));
        assert_eq!(decide("kms:GetSecretValue", "shop/a"), Some(true));
        assert_eq!(decide("kms:DeleteSecret", "shop/a"), Some(false));
        assert_eq!(decide("kms:GetSecretValue", "bank/a"), None);
    }

    #[test]
    fn what_would_not_be_obeyed_is_refused() {
        let one = |statement: Value| json!({ "Version": "1", "Statement": [statement] });
        for wrong in [
            json!({}),
            json!({ "Version": "1" }),
            one(json!({ "Effect": "Allow", "Action": "*", "Resource": "shop/*" })),
            one(json!({ "Effect": "Maybe", "Action": "*", "Resource": "*" })),
            one(json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {} })),
        ] {
            assert!(Policy::read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_trust_policy_is_obeyed_with_its_conditions() {
        let trust = TrustPolicy::read(&json!({
            "Version": "1",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": { "RAM": ["acs:ram::1:root"] },
                    "Condition": { "StringEquals": { "sts:ExternalId": "x1" } },
                },
                { "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "ecs.aliyuncs.com" } },
            ],
        }))
        .unwrap();
        assert!(trust.admits_principal("acs:ram::1:user/u", "1", Some("x1")));
        assert!(!trust.admits_principal("acs:ram::1:user/u", "1", Some("x2")));
        assert!(!trust.admits_principal("acs:ram::1:user/u", "1", None));
        assert!(!trust.admits_principal("acs:ram::2:user/u", "2", Some("x1")));
        assert!(trust.admits_service("ecs.aliyuncs.com"));
        assert!(!trust.admits_service("fc.aliyuncs.com"));
    }
}
