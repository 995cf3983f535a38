//! Which role a `ServiceAccount` stands for: what the store says, else what the account's annotations
//! say, completed by what the operator knows of its cluster.

use super::Settings;
use crate::controller::named::AccountFacts;
use crate::controller::store::cloud::{AccountRole, TokenAuth};
use crate::controller::store::resolve::{StoreError, invalid, missing};

/// The annotation by which a `ServiceAccount` names its role by ARN.
pub(super) const ROLE_ARN: &str = "ack.alibabacloud.com/role-arn";
/// The annotation by which a `ServiceAccount` names its role without an account.
pub(super) const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";

/// The role of the account with `facts`, called `what` in messages. A field of the store always wins.
///
/// # Errors
/// Which part nobody supplies.
pub(super) fn find(
    rrsa: &TokenAuth<'_>,
    facts: &AccountFacts,
    what: &str,
    rules: &Settings,
) -> Result<AccountRole, StoreError> {
    let (arn, name) = (facts.annotation(ROLE_ARN), facts.annotation(ROLE_NAME));
    let role_arn = match (rrsa.role_arn, arn, name) {
        (Some(arn), _, _) => arn.to_owned(),
        (None, Some(arn), _) if is_role(arn) => arn.to_owned(),
        (None, Some(_), _) => {
            let problem =
                format!("the annotation ack.alibabacloud.com/role-arn of {what} is no role's ARN");
            return Err(missing("spec.auth.rrsa.serviceAccountRef", problem));
        }
        (None, None, Some(name)) => named(rrsa, name, what, rules)?,
        (None, None, None) => {
            let problem = format!(
                "is not set, and {what} has neither the annotation ack.alibabacloud.com/role-arn \
                 nor pod-identity.alibabacloud.com/role-name"
            );
            return Err(missing("spec.auth.rrsa.roleArn", problem));
        }
    };
    let provider = match (rrsa.provider, &rules.ack_cluster) {
        (Some(arn), _) => arn.to_owned(),
        (None, Some(cluster)) => {
            let account = rules.account.as_deref().or(account(&role_arn));
            let account = account.unwrap_or_default();
            format!("acs:ram::{account}:oidc-provider/ack-rrsa-{cluster}")
        }
        (None, None) => {
            let problem = "is not set, and the operator does not know its cluster; set it, or have \
                           the operator run with --ack-cluster-id";
            return Err(invalid("spec.auth.rrsa.oidcProviderArn", problem));
        }
    };
    Ok(AccountRole { role_arn, provider })
}

/// The ARN of the role `name`, in the operator's account or else the OIDC provider's.
fn named(
    rrsa: &TokenAuth<'_>,
    name: &str,
    what: &str,
    rules: &Settings,
) -> Result<String, StoreError> {
    let field = "spec.auth.rrsa.serviceAccountRef";
    let account = rules.account.as_deref();
    let Some(account) = account.or(rrsa.provider.and_then(self::account)) else {
        let problem = format!(
            "{what} names its role without an account; have the operator run with \
             --alibaba-account-id, or set oidcProviderArn"
        );
        return Err(missing(field, problem));
    };
    let arn = format!("acs:ram::{account}:role/{name}");
    if is_role(&arn) {
        return Ok(arn);
    }
    let problem = format!(
        "the annotation pod-identity.alibabacloud.com/role-name of {what} is no role's name"
    );
    Err(missing(field, problem))
}

/// The account in `acs:ram::ACCOUNT:KIND/NAME`.
fn account(arn: &str) -> Option<&str> {
    let account = arn.split(':').nth(3)?;
    (!account.is_empty()).then_some(account)
}

/// Whether `arn` is one that the API server would admit as a store's `roleArn`.
fn is_role(arn: &str) -> bool {
    let Some((account, name)) = arn
        .strip_prefix("acs:ram::")
        .and_then(|rest| rest.split_once(":role/"))
    else {
        return false;
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=20).contains(&account.len())
        && account.chars().all(|c| c.is_ascii_digit())
        && (1..=64).contains(&name.len())
        && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str = "acs:ram::1:oidc-provider/ack-rrsa-c1";

    fn rules(account: Option<&str>, cluster: Option<&str>) -> Settings {
        Settings {
            account: account.map(str::to_owned),
            ack_cluster: cluster.map(str::to_owned),
        }
    }

    fn found(
        (role, provider): (Option<&str>, Option<&str>),
        (arn, name): (Option<&str>, Option<&str>),
        rules: &Settings,
    ) -> Result<(String, String), String> {
        let rrsa = TokenAuth {
            role_arn: role,
            provider,
            ..TokenAuth::default()
        };
        let facts = AccountFacts::new("u", [(ROLE_ARN, arn), (ROLE_NAME, name)]);
        find(&rrsa, &facts, "ServiceAccount shop/db", rules)
            .map(|role| (role.role_arn, role.provider))
            .map_err(|error| error.to_string())
    }

    fn pair(role: &str, provider: &str) -> (String, String) {
        (role.to_owned(), provider.to_owned())
    }

    #[test]
    fn a_field_of_the_store_wins_over_annotations_and_flags() {
        let store = (Some("acs:ram::1:role/store"), Some(PROVIDER));
        let annotations = (Some("acs:ram::2:role/arn"), Some("name"));
        let rules = rules(Some("3"), Some("c3"));
        let expected = Ok(pair("acs:ram::1:role/store", PROVIDER));
        assert_eq!(found(store, annotations, &rules), expected);
        let expected = Ok(pair("acs:ram::2:role/arn", PROVIDER));
        assert_eq!(found((None, Some(PROVIDER)), annotations, &rules), expected);
    }

    #[test]
    fn what_is_left_out_is_derived() {
        let by_flags = rules(Some("3"), Some("c3"));
        let provider = "acs:ram::3:oidc-provider/ack-rrsa-c3";
        let expected = Ok(pair("acs:ram::3:role/name", provider));
        assert_eq!(
            found((None, None), (None, Some("name")), &by_flags),
            expected
        );
        let cluster_only = rules(None, Some("c3"));
        let expected = Ok(pair(
            "acs:ram::2:role/arn",
            "acs:ram::2:oidc-provider/ack-rrsa-c3",
        ));
        let annotations = (Some("acs:ram::2:role/arn"), None);
        assert_eq!(found((None, None), annotations, &cluster_only), expected);
        let expected = Ok(pair("acs:ram::1:role/name", PROVIDER));
        let annotations = (None, Some("name"));
        let nothing = rules(None, None);
        assert_eq!(
            found((None, Some(PROVIDER)), annotations, &nothing),
            expected
        );
    }

    #[test]
    fn what_nobody_supplies_is_named() {
        let nothing = rules(None, None);
        let table = [
            (
                (None, Some(PROVIDER)),
                (None, None),
                "spec.auth.rrsa.roleArn: is not set",
            ),
            ((None, None), (None, Some("name")), "--alibaba-account-id"),
            (
                (Some("acs:ram::1:role/a"), None),
                (None, None),
                "spec.auth.rrsa.oidcProviderArn",
            ),
            (
                (None, Some(PROVIDER)),
                (Some("acs:ram::1:user/a"), None),
                "is no role's ARN",
            ),
            (
                (None, Some(PROVIDER)),
                (None, Some("a/../b")),
                "is no role's name",
            ),
        ];
        for (store, annotations, part) in table {
            let error = found(store, annotations, &nothing).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
