//! What about identities is a cloud's own: how its token service is asked, what its variables mean,
//! where its instances ask about themselves. One folder per cloud implements it; all else is the same
//! to all of them.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use secrecy::SecretString;

use super::{
    Alibaba, Credentials, Environment, EnvironmentError, InstanceRole, Source, Surroundings,
    Tencent, WebIdentity,
};
use crate::provider::endpoint::{Endpoint, EndpointPolicy};
use crate::provider::{CallError, Edge};

/// Every cloud: one line each.
pub static CLOUDS: [&dyn Cloud; 2] = [&Alibaba, &Tencent];

/// One cloud's side of identities.
pub trait Cloud: fmt::Debug + Send + Sync + 'static {
    /// Its name, which sets its identities apart from those of others that say the same.
    fn name(&self) -> &'static str;

    /// The kind of identities that begin with a token, in metrics and as the field of a store.
    fn token_kind(&self) -> &'static str;

    /// Its token service at `endpoint`, for identities of `region`.
    fn sts(&self, endpoint: Endpoint, region: &str) -> TokenService;

    /// The variables of the operator's environment that it reads.
    fn variables(&self) -> &'static [&'static str];

    /// The number of the account in a role's ARN, if it is a role of this cloud.
    fn role_account<'a>(&self, role_arn: &'a str) -> Option<&'a str>;

    /// Whether `endpoint` is a token service of the vendor, whose word can be taken.
    fn is_vendors(&self, endpoint: &Endpoint) -> bool;

    /// The site that `sts` is of, where the cloud has several that share no accounts: a key that one knows
    /// the other refuses.
    fn site<'a>(&self, _sts: &'a TokenService) -> Option<&'a str> {
        None
    }

    /// The operator's own identity: the first source that its environment configures, and no other.
    /// The role of the instance is one where `instance_role` says that it is enabled.
    ///
    /// # Errors
    /// What is missing or broken of that one, or that none is configured.
    fn operator(
        &self,
        own: &Environment,
        session: &OwnSession<'_>,
        instance_role: bool,
    ) -> Result<Source, EnvironmentError>;

    /// The role `role_arn`, entered with the operator's own token file. Without `provider`, the
    /// environment names the OIDC provider.
    ///
    /// # Errors
    /// What is missing or broken.
    fn own_token(
        &self,
        own: &Environment,
        role_arn: &str,
        provider: Option<&str>,
        session: &OwnSession<'_>,
    ) -> Result<WebIdentity, EnvironmentError>;

    /// The instance's role of this name, else the one that the environment names, else whichever the
    /// instance has.
    ///
    /// # Errors
    /// When the environment forbids it, or the name cannot be one.
    fn instance_role(
        &self,
        own: &Environment,
        name: Option<&str>,
    ) -> Result<InstanceRole, EnvironmentError>;

    /// The token service of the operator's own identity.
    ///
    /// # Errors
    /// What is broken, or why its final URL is refused.
    fn own_sts(
        &self,
        own: &Environment,
        session: &OwnSession<'_>,
    ) -> Result<TokenService, EnvironmentError>;

    /// The action that exchanges a token.
    fn by_token(&self) -> &'static Action;

    /// The action by which another identity enters a role.
    fn by_credentials(&self) -> &'static Action;

    /// Exchanges `token` for the credentials of a role.
    fn exchange<'a>(
        &'a self,
        edge: &'a Edge,
        role: &'a WebIdentity,
        token: &'a SecretString,
    ) -> BoxFuture<'a, Result<Credentials, CallError>>;

    /// Enters a role with the credentials `base`.
    fn assume<'a>(
        &'a self,
        edge: &'a Edge,
        role: &'a Assume<'a>,
        base: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CallError>>;

    /// Says whose `credentials` are. It needs no permission.
    fn caller<'a>(
        &'a self,
        edge: &'a Edge,
        sts: &'a TokenService,
        credentials: &'a Credentials,
    ) -> BoxFuture<'a, Result<Caller, CallError>>;

    /// Credentials of the instance's role: the one of this name, else whichever it has.
    fn instance_credentials<'a>(
        &'a self,
        around: &'a Surroundings,
        name: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Credentials, CallError>>;

    /// Whether `code` says that the key a call was signed with is not accepted any more.
    fn refuses_the_key(&self, code: &str) -> bool;

    /// Whether `code` says that the role to enter is not there.
    fn is_no_role(&self, code: &str) -> bool;

    /// What to say before the role's name where an exchange of a token was refused with `code`, of which
    /// neither the class nor [`is_no_role`](Self::is_no_role) tells what to correct.
    fn token_advice(&self, code: &str) -> Option<&'static str>;
}

/// A token service at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenService {
    /// Whose it is.
    pub cloud: CloudRef,
    /// Where it is called.
    pub endpoint: Endpoint,
    /// The region that it is told, where it wants to be told one.
    pub region: Option<String>,
}

/// A cloud by reference, equal to itself and to no other.
#[derive(Clone, Copy)]
pub struct CloudRef(pub &'static dyn Cloud);

/// An action of a token service, and how often one account may call it.
#[derive(Debug, PartialEq)]
pub struct Action {
    /// Its name.
    pub name: &'static str,
    /// What the vendor counts it with: actions of one name here share one quota.
    pub counted_as: &'static str,
    /// The quota of one account, calls a second.
    pub quota: f64,
}

/// A role that credentials enter.
#[derive(Debug, Clone, Copy)]
pub struct Assume<'a> {
    /// The token service.
    pub sts: &'a TokenService,
    /// The role.
    pub role_arn: &'a str,
    /// What the role's owner asks callers to say.
    pub external_id: Option<&'a str>,
    /// Names the session in the cloud's audit log.
    pub session_name: &'a str,
    /// How long the credentials shall live, in seconds; absent: an hour.
    pub duration_seconds: Option<u32>,
    /// A policy that narrows the role's.
    pub policy: Option<&'a str>,
}

/// Sessions that the operator begins as itself, as far as a store decides about them.
#[derive(Debug, Clone, Copy)]
pub struct OwnSession<'a> {
    /// The store's token service.
    pub sts: &'a TokenService,
    /// Whether the store names it by a URL, which wins over the environment.
    pub named: bool,
    /// The session's name where the environment gives none.
    pub name: &'a str,
    /// Which URLs may be called.
    pub policy: &'a EndpointPolicy,
}

/// Who credentials are to a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The number of the account.
    pub account_id: Arc<str>,
    /// Whether it is the account itself, which may do anything and cannot be restrained.
    pub is_root: bool,
}

// === impl TokenService ===

impl TokenService {
    /// The token service of `cloud` at `endpoint`, which is told no region.
    pub fn new(cloud: &'static dyn Cloud, endpoint: Endpoint) -> Self {
        Self {
            cloud: CloudRef(cloud),
            endpoint,
            region: None,
        }
    }

    /// The same service at another endpoint.
    #[must_use]
    pub fn at(&self, endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            ..self.clone()
        }
    }

    /// The cloud whose it is.
    pub fn cloud(&self) -> &'static dyn Cloud {
        self.cloud.0
    }
}

// === impl CloudRef ===

impl PartialEq for CloudRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for CloudRef {}

impl fmt::Debug for CloudRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}
