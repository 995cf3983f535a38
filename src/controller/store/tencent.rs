//! Identities on Tencent Cloud: what a store's `auth` means there, and the role that a `ServiceAccount`
//! stands for.

use super::cloud::{AccountRole, Audience, Side, TokenAuth};
use super::resolve::{Resolver, StoreError, missing};
use crate::api::AuthSpec;
use crate::controller::named::AccountFacts;
use crate::credential::{self, Cloud};

/// The audience of tokens for STS, where neither a store nor a `ServiceAccount` names one.
pub(super) const DEFAULT_AUDIENCE: &str = "sts.cloud.tencent.com";
/// The annotation by which a `ServiceAccount` names its role.
const ROLE_ARN: &str = "tke.cloud.tencent.com/role-arn";
/// The annotation by which a `ServiceAccount` names the audience of its tokens.
const AUDIENCE: &str = "tke.cloud.tencent.com/audience";

/// Stores that read Tencent Cloud.
pub(super) struct Tencent;

// === impl Tencent ===

impl Side for Tencent {
    fn cloud(&self) -> &'static dyn Cloud {
        &credential::Tencent
    }

    fn title(&self) -> &'static str {
        "Tencent Cloud"
    }

    fn role_form(&self) -> &'static str {
        "qcs::cam::uin/UIN:roleName/NAME"
    }

    fn token<'a>(&self, auth: &'a AuthSpec) -> Option<TokenAuth<'a>> {
        let token = auth.web_identity.as_ref()?;
        Some(TokenAuth {
            field: "spec.auth.webIdentity",
            role_arn: token.role_arn.as_deref(),
            provider: token.provider_id.as_deref(),
            account: token.service_account_ref.as_ref(),
            audience: token.audience.as_deref(),
            session_name: token.session_name.as_deref(),
            duration_seconds: token.duration_seconds,
            policy: None,
        })
    }

    fn annotations(&self) -> &'static [&'static str] {
        &[ROLE_ARN, AUDIENCE]
    }

    fn audience<'a>(&self, facts: &'a AccountFacts) -> Audience<'a> {
        match facts.annotation(AUDIENCE) {
            Some(text) => Audience::Annotated(text, AUDIENCE),
            None => Audience::Default(DEFAULT_AUDIENCE),
        }
    }

    fn role(
        &self,
        token: &TokenAuth<'_>,
        facts: &AccountFacts,
        what: &str,
        resolver: &Resolver,
    ) -> Result<AccountRole, StoreError> {
        let own = credential::Tencent.own_provider(&resolver.environment);
        find(token, facts, what, own.map_err(|error| error.to_string()))
    }
}

/// The role of the account with `facts`, called `what` in messages, and its OIDC provider, which is the
/// operator's `own` where the store names none. A field of the store always wins.
///
/// # Errors
/// Which part nobody supplies.
fn find(
    token: &TokenAuth<'_>,
    facts: &AccountFacts,
    what: &str,
    own: Result<&str, String>,
) -> Result<AccountRole, StoreError> {
    let role_arn = match (token.role_arn, facts.annotation(ROLE_ARN)) {
        (Some(arn), _) => arn,
        (None, Some(arn)) if is_role(arn) => arn,
        (None, Some(_)) => {
            let problem = format!("the annotation {ROLE_ARN} of {what} is no role's ARN");
            let field = "spec.auth.webIdentity.serviceAccountRef";
            return Err(missing(field, problem));
        }
        (None, None) => {
            let problem = format!("is not set, and {what} has no annotation {ROLE_ARN}");
            return Err(missing("spec.auth.webIdentity.roleArn", problem));
        }
    };
    let provider = match (token.provider, own) {
        (Some(name), _) | (None, Ok(name)) => name,
        (None, Err(error)) => {
            let problem = format!(
                "is not set, and the operator does not know its cluster: {error}; TKE names the \
                 provider after the cluster, such as cls-1a2b3c4d"
            );
            return Err(missing("spec.auth.webIdentity.providerId", problem));
        }
    };
    Ok(AccountRole {
        role_arn: role_arn.to_owned(),
        provider: provider.to_owned(),
    })
}

/// Whether `arn` is one that the API server would admit as a store's `roleArn`.
fn is_role(arn: &str) -> bool {
    let Some((account, role)) = arn
        .strip_prefix("qcs::cam::uin/")
        .and_then(|rest| rest.split_once(':'))
    else {
        return false;
    };
    let number =
        |text: &str| (1..=20).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit());
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    let name = |text: &str| (1..=128).contains(&text.len()) && text.chars().all(allowed);
    let role = match role.strip_prefix("role/") {
        None => role.strip_prefix("roleName/").is_some_and(name),
        Some(role) => match role.split_once('/') {
            None => number(role),
            Some(("tencentcloudServiceRole", id)) => number(id),
            Some(("tencentcloudServiceRoleName", of)) => name(of),
            Some(_) => false,
        },
    };
    number(account) && role
}

#[cfg(test)]
mod tests;
