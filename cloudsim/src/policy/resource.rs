//! Policies of secrets and keys themselves: who may do what with this one.

use serde_json::Value;

use crate::pattern;
use crate::policy::{Wrong, effect, statements, strings};

/// The policy of a secret or a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ResourcePolicy {
    pub(crate) statements: Vec<Statement>,
}

/// One statement of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) allows: bool,
    /// Patterns of ARNs, or whole accounts (`acs:ram::<account>:root`).
    pub(crate) principals: Vec<String>,
    /// Patterns of actions.
    pub(crate) actions: Vec<String>,
}

// === impl ResourcePolicy ===

impl ResourcePolicy {
    /// Reads a document. What would not be obeyed is refused.
    pub(crate) fn read(document: &Value) -> Result<Self, Wrong> {
        let read = |statement: &Value| {
            let fields = ["Sid", "Effect", "Principal", "Action", "Resource"];
            let allows = effect(statement, &fields)?;
            if strings(&statement["Resource"])? != ["*"] {
                return Err("a Resource is not *, which is what the policy is of");
            }
            let principal = statement["Principal"].as_object();
            let principal = principal.ok_or("a Principal is not an object")?;
            if principal.keys().any(|kind| kind != "RAM") {
                return Err("a Principal is not of the kind RAM");
            }
            Ok(Statement {
                allows,
                principals: strings(&statement["Principal"]["RAM"])?,
                actions: strings(&statement["Action"])?,
            })
        };
        let statements = statements(document)?.into_iter().map(read);
        Ok(Self {
            statements: statements.collect::<Result<_, _>>()?,
        })
    }

    /// Says whether a principal of an account may do something. A denial wins, and silence is one.
    pub(crate) fn admits(&self, principal: &str, account: &str, action: &str) -> bool {
        let root = format!("acs:ram::{account}:root");
        let about = |statement: &&Statement| {
            let mut principals = statement.principals.iter();
            let mut actions = statement.actions.iter();
            principals.any(|pattern| *pattern == root || pattern::matches(pattern, principal))
                && actions.any(|pattern| pattern::matches(pattern, action))
        };
        let said = self.statements.iter().filter(about);
        said.map(|statement| statement.allows)
            .reduce(|one, other| one && other)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const READER: &str = "acs:ram::1:role/reader";

    fn policy(statements: Value) -> Result<ResourcePolicy, Wrong> {
        ResourcePolicy::read(&json!({ "Version": "1", "Statement": statements }))
    }

    #[test]
    fn who_is_named_may_do_what_is_named_unless_it_is_denied() {
        let allow = json!({
            "Sid": "readers",
            "Effect": "Allow",
            "Principal": { "RAM": ["acs:ram::1:role/*", "acs:ram::2:root"] },
            "Action": ["kms:Get*", "kms:Describe*"],
            "Resource": ["*"],
        });
        let deny = json!({
            "Effect": "Deny",
            "Principal": { "RAM": READER },
            "Action": "kms:DescribeSecret",
            "Resource": "*",
        });
        let policy = policy(json!([allow, deny])).unwrap();
        let may = |who, account, action| policy.admits(who, account, action);
        assert!(may(READER, "1", "kms:GetSecretValue"));
        assert!(may("acs:ram::2:user/any", "2", "kms:GetSecretValue"));
        assert!(!may(READER, "1", "kms:DescribeSecret"));
        assert!(!may(READER, "1", "kms:PutSecretValue"));
        assert!(!may("acs:ram::3:role/reader", "3", "kms:GetSecretValue"));
        assert!(!ResourcePolicy::default().admits(READER, "1", "kms:GetSecretValue"));
    }

    #[test]
    fn what_would_not_be_obeyed_is_refused() {
        let with = |field: &str, value: Value| {
            let mut statement = json!({
                "Effect": "Allow",
                "Principal": { "RAM": READER },
                "Action": "kms:GetSecretValue",
                "Resource": "*",
            });
            statement[field] = value;
            policy(json!([statement]))
        };
        assert!(with("Effect", json!("Allow")).is_ok());
        for (field, value) in [
            ("Principal", json!("*")),
            ("Principal", json!({ "Service": "ecs.aliyuncs.com" })),
            ("Principal", json!({ "RAM": [] })),
            ("Resource", json!("acs:kms:*:*:secret/a")),
            ("Condition", json!({})),
            ("Action", json!([])),
        ] {
            assert!(with(field, value.clone()).is_err(), "{field}: {value}");
        }
    }
}
