//! What a store's `auth` means on one cloud, as far as it means another thing than on the others. One
//! folder per cloud says it; how identities are resolved is the same to all of them.

use super::resolve::{Resolver, StoreError};
use super::{alibaba, tencent};
use crate::api::{AuthSpec, ServiceAccountRef};
use crate::controller::named::AccountFacts;
use crate::credential::Cloud;
use crate::provider::registry;

/// Every cloud: one line each.
static SIDES: [&dyn Side; 2] = [&alibaba::Alibaba, &tencent::Tencent];

/// One cloud's side of `spec.auth`.
pub(super) trait Side: Sync {
    /// The cloud.
    fn cloud(&self) -> &'static dyn Cloud;

    /// What it calls itself.
    fn title(&self) -> &'static str;

    /// How a role's ARN is written there.
    fn role_form(&self) -> &'static str;

    /// The block of `auth` that exchanges a token, if it is there.
    fn token<'a>(&self, auth: &'a AuthSpec) -> Option<TokenAuth<'a>>;

    /// The annotations of `ServiceAccounts` that it reads.
    fn annotations(&self) -> &'static [&'static str];

    /// The audience of a token of the account with `facts` where the store names none.
    fn audience<'a>(&self, facts: &'a AccountFacts) -> Audience<'a>;

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

/// The audience of a token that no store names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience<'a> {
    /// The cloud's own.
    Default(&'a str),
    /// What the account says in this annotation. Anybody may have written it.
    Annotated(&'a str, &'static str),
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
        registry::Cloud::Tencent(..) => &tencent::Tencent,
    }
}

/// The block of `auth` that another cloud than that of `side` understands, and that cloud's side.
pub(super) fn foreign<'a>(
    side: &dyn Side,
    auth: &'a AuthSpec,
) -> Option<(TokenAuth<'a>, &'static dyn Side)> {
    let others = SIDES.iter().filter(|other| other.title() != side.title());
    let mut foreign = others.filter_map(|other| Some((other.token(auth)?, *other)));
    foreign.next()
}

/// The annotations of `ServiceAccounts` that any cloud reads.
pub fn annotations() -> impl Iterator<Item = &'static str> {
    let of = |side: &&dyn Side| side.annotations().iter().copied();
    SIDES.iter().flat_map(of)
}
