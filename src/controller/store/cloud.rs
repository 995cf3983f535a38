//! What a store's `auth` means on one cloud, as far as it means another thing than on the others. One
//! folder per cloud says it; how identities are resolved is the same to all of them.

use super::alibaba;
use super::resolve::{Resolver, StoreError};
use crate::api::{AuthSpec, ServiceAccountRef};
use crate::controller::named::AccountFacts;
use crate::credential::Cloud;
use crate::provider::registry;

/// Every cloud: one line each.
static SIDES: [&dyn Side; 1] = [&alibaba::Alibaba];

/// One cloud's side of `spec.auth`.
pub(super) trait Side: Sync {
    /// The cloud.
    fn cloud(&self) -> &'static dyn Cloud;

    /// The block of `auth` that exchanges a token, if it is there.
    fn token<'a>(&self, auth: &'a AuthSpec) -> Option<TokenAuth<'a>>;

    /// The annotations of `ServiceAccounts` that it reads.
    fn annotations(&self) -> &'static [&'static str];

    /// The audience of a token where the store names none, and where that is said.
    fn audience<'a>(&self, facts: &'a AccountFacts) -> &'a str;

    /// The role of the account with `facts`, called `what` in messages. A field of the store always
    /// wins.
    ///
    /// # Errors
    /// Which part nobody supplies.
    fn role(
        &self,
        token: &TokenAuth<'_>,
        facts: &AccountFacts,
        what: &str,
        resolver: &Resolver,
    ) -> Result<AccountRole, StoreError>;
}

/// A block of `auth` that exchanges a token for a role.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TokenAuth<'a> {
    /// Its field, such as `spec.auth.rrsa`.
    pub(super) field: &'static str,
    pub(super) role_arn: Option<&'a str>,
    /// The OIDC provider: its ARN or its name, whichever the cloud asks for.
    pub(super) provider: Option<&'a str>,
    pub(super) account: Option<&'a ServiceAccountRef>,
    pub(super) audience: Option<&'a str>,
    pub(super) session_name: Option<&'a str>,
    pub(super) duration_seconds: Option<i32>,
    pub(super) policy: Option<&'a str>,
}

/// A role, and the OIDC provider that vouches for the account.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AccountRole {
    pub(super) role_arn: String,
    pub(super) provider: String,
}

/// The side of `cloud`.
pub(super) fn side(cloud: registry::Cloud) -> &'static dyn Side {
    match cloud {
        registry::Cloud::Alibaba(_) => &alibaba::Alibaba,
    }
}

/// The annotations of `ServiceAccounts` that any cloud reads.
pub fn annotations() -> impl Iterator<Item = &'static str> {
    let of = |side: &&dyn Side| side.annotations().iter().copied();
    SIDES.iter().flat_map(of)
}
