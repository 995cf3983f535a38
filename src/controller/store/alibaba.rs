//! Identities on Alibaba Cloud: what a store's `auth` means there, and the role it may enter.

mod account_role;

use super::cloud::{AccountRole, Audience, Side, TokenAuth};
use super::resolve::{Resolver, StoreError};
use crate::api::AuthSpec;
use crate::controller::named::AccountFacts;
use crate::credential::{self, Cloud};

/// The audience of tokens for STS, where a store names none.
pub(super) const DEFAULT_AUDIENCE: &str = "sts.aliyuncs.com";

/// What the operator's administrator says about roles on Alibaba Cloud.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The cloud account of roles that `ServiceAccounts` name without one.
    pub account: Option<String>,
    /// The ACK cluster, from which the name of its OIDC provider follows.
    pub ack_cluster: Option<String>,
}

/// Stores that read Alibaba Cloud.
pub(super) struct Alibaba;

// === impl Alibaba ===

impl Side for Alibaba {
    fn cloud(&self) -> &'static dyn Cloud {
        &credential::Alibaba
    }

    fn title(&self) -> &'static str {
        "Alibaba Cloud"
    }

    fn role_form(&self) -> &'static str {
        "acs:ram::ACCOUNT:role/NAME"
    }

    fn token<'a>(&self, auth: &'a AuthSpec) -> Option<TokenAuth<'a>> {
        let rrsa = auth.rrsa.as_ref()?;
        Some(TokenAuth {
            field: "spec.auth.rrsa",
            role_arn: rrsa.role_arn.as_deref(),
            provider: rrsa.oidc_provider_arn.as_deref(),
            account: rrsa.service_account_ref.as_ref(),
            audience: rrsa.audience.as_deref(),
            session_name: rrsa.session_name.as_deref(),
            duration_seconds: rrsa.duration_seconds,
            policy: rrsa.policy.as_deref(),
        })
    }

    fn annotations(&self) -> &'static [&'static str] {
        &[account_role::ROLE_ARN, account_role::ROLE_NAME]
    }

    fn audience<'a>(&self, _: &'a AccountFacts) -> Audience<'a> {
        Audience::Default(DEFAULT_AUDIENCE)
    }

    fn role(
        &self,
        token: &TokenAuth<'_>,
        facts: &AccountFacts,
        what: &str,
        resolver: &Resolver,
    ) -> Result<AccountRole, StoreError> {
        account_role::find(token, facts, what, &resolver.rules.alibaba)
    }
}
