//! Policies as Tencent's CAM writes them: the same shapes in other words.

use serde_json::{Map, Value};

use crate::pattern;
use crate::policy::{Condition, Grant, Policy, Statement, TrustPolicy, Wrong, strings};

/// The statements of a document of version 2.0, which may be one object.
fn statements(document: &Value) -> Result<Vec<&Map<String, Value>>, Wrong> {
    let document = document.as_object().ok_or("it is not an object")?;
    if document.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err("its version is not \"2.0\"");
    }
    if document
        .keys()
        .any(|key| key != "version" && key != "statement")
    {
        return Err("it has an unknown field");
    }
    let all: Vec<&Value> = match document.get("statement") {
        Some(Value::Array(all)) if !all.is_empty() => all.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err("it has no statement"),
    };
    let objects = all.into_iter().map(Value::as_object);
    objects
        .collect::<Option<_>>()
        .ok_or("a statement is not an object")
}

fn effect(statement: &Map<String, Value>, fields: &[&str]) -> Result<bool, Wrong> {
    if statement.keys().any(|key| !fields.contains(&key.as_str())) {
        return Err("a statement has a field that this server does not evaluate");
    }
    match statement.get("effect").and_then(Value::as_str) {
        Some("allow") => Ok(true),
        Some("deny") => Ok(false),
        _ => Err("an effect is neither allow nor deny"),
    }
}

/// Actions, with or without the `name/` that CAM writes before them.
fn actions(statement: &Map<String, Value>) -> Result<Vec<String>, Wrong> {
    let actions = strings(statement.get("action").unwrap_or(&Value::Null))?;
    let bare = |action: String| match action.strip_prefix("name/") {
        Some(bare) => bare.to_owned(),
        None => action,
    };
    Ok(actions.into_iter().map(bare).collect())
}

/// A resource in six parts, of which CAM lets project, region and account be left out for any of them.
fn resource(text: &str) -> Result<String, Wrong> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["qcs", project, service, region, account, rest] = parts[..] else {
        return Err("a resource is neither * nor of six parts that begin with qcs");
    };
    if !(project.is_empty() || project.starts_with("id/")) || service.is_empty() || rest.is_empty()
    {
        return Err("a resource's parts are not those of CAM");
    }
    let any = |part: &str| if part.is_empty() { "*" } else { part }.to_owned();
    Ok(format!(
        "qcs::{service}:{}:{}:{rest}",
        any(region),
        any(account)
    ))
}

// === impl Policy ===

impl Policy {
    /// Reads a document of CAM. What would not be obeyed, such as conditions, is refused.
    pub(crate) fn read_cam(document: &Value) -> Result<Self, Wrong> {
        let read = |statement: &Map<String, Value>| -> Result<_, Wrong> {
            let resources = strings(statement.get("resource").unwrap_or(&Value::Null))?;
            Ok(Statement {
                allows: effect(statement, &["effect", "action", "resource"])?,
                actions: actions(statement)?,
                resources: resources
                    .iter()
                    .map(|text| resource(text))
                    .collect::<Result<_, _>>()?,
            })
        };
        let statements = statements(document)?.into_iter().map(read);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}

// === impl TrustPolicy ===

impl TrustPolicy {
    /// Reads a document of CAM: of callers and services for `AssumeRole`, of OIDC providers for
    /// `AssumeRoleWithWebIdentity`.
    pub(crate) fn read_cam(document: &Value) -> Result<Self, Wrong> {
        let read = |statement: &Map<String, Value>| {
            let fields = ["effect", "action", "principal", "condition"];
            if !effect(statement, &fields)? {
                return Err("a deny is not evaluated in a trust policy");
            }
            let actions = actions(statement)?;
            let does = |wanted| {
                actions
                    .iter()
                    .any(|action| pattern::matches(action, wanted))
            };
            let mut grant = Grant::default();
            let principal = statement.get("principal").and_then(Value::as_object);
            for (kind, value) in principal.ok_or("a principal is not an object")? {
                let (list, wanted) = match kind.as_str() {
                    "qcs" => (&mut grant.principals, "sts:AssumeRole"),
                    "service" => (&mut grant.services, "sts:AssumeRole"),
                    "federated" => (&mut grant.providers, "sts:AssumeRoleWithWebIdentity"),
                    _ => return Err("a kind of principal is unknown"),
                };
                *list = strings(value)?;
                if !does(wanted) {
                    return Err("an action is not that of the principal's kind");
                }
            }
            grant.conditions = conditions(statement.get("condition"))?;
            Ok(grant)
        };
        let grants = statements(document)?.into_iter().map(read);
        Ok(Self {
            complete: true,
            grants: grants.collect::<Result<_, _>>()?,
        })
    }

    /// Says whether a caller is trusted, by any of the names for it, given the external id it sends.
    pub(crate) fn admits_caller(&self, names: &[String], external_id: Option<&str>) -> bool {
        let facts: Vec<_> = external_id
            .map(|id| ("sts:external_id", id))
            .into_iter()
            .collect();
        self.grants.iter().any(|grant| {
            let mut principals = grant.principals.iter();
            principals.any(|trusted| names.contains(trusted)) && grant.hold(&facts)
        })
    }
}

fn conditions(value: Option<&Value>) -> Result<Vec<Condition>, Wrong> {
    let mut all = Vec::new();
    let Some(value) = value else {
        return Ok(all);
    };
    for (operator, keys) in value.as_object().ok_or("a condition is not an object")? {
        let like = match operator.as_str() {
            "string_equal" => false,
            "string_like" => true,
            _ => return Err("a condition has an operator that this server does not evaluate"),
        };
        for (key, values) in keys.as_object().ok_or("a condition is not an object")? {
            let known = ["sts:external_id", "oidc:iss", "oidc:aud", "oidc:sub"];
            if !known.contains(&key.as_str()) {
                return Err("a condition has a key that this server does not evaluate");
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
    use crate::permission::Resource;

    fn one(statement: Value) -> Value {
        json!({ "version": "2.0", "statement": [statement] })
    }

    #[test]
    fn a_resource_may_leave_out_region_and_account() {
        let arn = "qcs::ssm:ap-guangzhou:uin/1:secret/creatorUin/1/prod-db";
        let secret = Resource {
            account: "1".to_owned(),
            arn: arn.to_owned(),
            name: "prod-db".to_owned(),
        };
        let decide = |resource: &str| {
            let statement = json!({
                "effect": "allow", "action": ["name/ssm:GetSecretValue"], "resource": [resource],
            });
            let policy = Policy::read_cam(&one(statement)).unwrap();
            policy.decide("1", "ssm:GetSecretValue", &secret)
        };
        for allowed in [
            "*",
            arn,
            "qcs::ssm::uin/1:secret/*",
            "qcs::ssm:::secret/creatorUin/1/prod-*",
            "qcs:id/0:ssm:ap-guangzhou:uin/1:secret/*",
        ] {
            assert_eq!(decide(allowed), Some(true), "{allowed}");
        }
        for other in [
            "qcs::ssm:ap-beijing:uin/1:secret/*",
            "qcs::ssm::uin/2:secret/*",
            "qcs::ssm:::secret/creatorUin/1/bank-*",
            "qcs::kms:::secret/*",
        ] {
            assert_eq!(decide(other), None, "{other}");
        }
    }

    #[test]
    fn what_would_not_be_obeyed_is_refused() {
        for wrong in [
            json!({ "version": "1", "statement": [] }),
            one(json!({ "effect": "allow", "action": "*", "resource": "prod-db" })),
            one(json!({ "effect": "Allow", "action": "*", "resource": "*" })),
            one(json!({ "effect": "allow", "action": "*", "resource": "*", "condition": {} })),
        ] {
            assert!(Policy::read_cam(&wrong).is_err(), "{wrong}");
        }
        let federated = |action: &str, condition: Value| {
            TrustPolicy::read_cam(&one(json!({
                "effect": "allow",
                "action": action,
                "principal": { "federated": ["qcs::cam::uin/1:oidc-provider/cls-1"] },
                "condition": condition,
            })))
        };
        let web = "name/sts:AssumeRoleWithWebIdentity";
        assert!(federated(web, json!({ "string_equal": { "oidc:aud": ["a"] } })).is_ok());
        assert!(federated("name/sts:AssumeRole", json!({})).is_err());
        assert!(federated(web, json!({ "ip_equal": { "oidc:aud": ["a"] } })).is_err());
        assert!(federated(web, json!({ "string_equal": { "qcs:ip": ["a"] } })).is_err());
    }
}
