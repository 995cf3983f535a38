//! Accounts: who exists, with which keys, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::permission::{self, Resource};
use crate::policy::{Policy, TrustPolicy};
use crate::random;
use crate::seed::{OidcProvider, Role, Rule, Seed};

/// How long an expired key is still known as expired, and not merely unknown.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) account: String,
    pub(crate) kind: Kind,
    /// The policy of a session, which can only narrow what its role may do.
    pub(crate) limits: Option<Arc<Policy>>,
}

/// The kinds of callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The account itself.
    Root,
    /// A RAM user.
    User { name: String },
    /// A session of a role.
    Session { role: String, session: String },
}

/// An access key, long-lived or temporary.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) principal: Principal,
    pub(crate) temporary: Option<Temporary>,
    pub(crate) revoked: bool,
}

/// What a temporary key has beyond a long-lived one.
#[derive(Debug, Clone)]
pub(crate) struct Temporary {
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

/// Everybody who exists.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    accounts: Vec<String>,
    keys: HashMap<String, Key>,
    rules: HashMap<String, Vec<Rule>>,
    roles: HashMap<String, Role>,
    providers: HashMap<String, OidcProvider>,
    trusts: HashMap<String, TrustPolicy>,
    policies: HashMap<String, Policy>,
    pruned: Option<Timestamp>,
}

/// The ARN of a role.
pub(crate) fn role_arn(account: &str, name: &str) -> String {
    format!("acs:ram::{account}:role/{name}")
}

/// The ARN of a RAM user.
pub(crate) fn user_arn(account: &str, name: &str) -> String {
    format!("acs:ram::{account}:user/{name}")
}

/// The ARN of an OIDC provider, given by name or already as an ARN.
pub(crate) fn provider_arn(account: &str, name: &str) -> String {
    if name.starts_with("acs:") {
        name.to_owned()
    } else {
        format!("acs:ram::{account}:oidc-provider/{name}")
    }
}

// === impl Principal ===

impl Principal {
    /// The ARN of what holds the permissions: the account, the user or the role (not the session).
    pub(crate) fn arn(&self) -> String {
        match &self.kind {
            Kind::Root => format!("acs:ram::{}:root", self.account),
            Kind::User { name } => user_arn(&self.account, name),
            Kind::Session { role, .. } => role_arn(&self.account, role),
        }
    }

    pub(crate) fn session(&self) -> Option<&str> {
        match &self.kind {
            Kind::Session { session, .. } => Some(session),
            Kind::Root | Kind::User { .. } => None,
        }
    }
}

// === impl Registry ===

impl Registry {
    pub(crate) fn from_seed(seed: &Seed) -> Self {
        let mut registry = Self::default();
        for account in &seed.accounts {
            registry.accounts.push(account.id.clone());
            for key in &account.access_keys {
                registry.add_key(&key.id, key.secret.reveal(), &account.id, None);
            }
            for user in &account.users {
                registry
                    .rules
                    .insert(user_arn(&account.id, &user.name), user.rules.clone());
                for key in &user.access_keys {
                    registry.add_key(&key.id, key.secret.reveal(), &account.id, Some(&user.name));
                }
            }
            for provider in &account.oidc_providers {
                registry.put_provider(&account.id, provider.clone());
            }
            for role in &account.roles {
                registry.put_role(&account.id, role.clone());
            }
            // A seed is checked before it is used, so these can be read.
            for trust in &account.trusts {
                if let Ok(policy) = trust.policy() {
                    registry.put_trust(&role_arn(&account.id, &trust.role), policy);
                }
            }
            for attached in &account.policies {
                if let Ok(policy) = attached.policy() {
                    let arn = format!("acs:ram::{}:{}", account.id, attached.principal);
                    registry.put_policy(&arn, policy);
                }
            }
        }
        registry
    }

    /// The account named, or the first; `None` if it does not exist.
    pub(crate) fn account(&self, id: Option<&str>) -> Option<String> {
        match id {
            None => self.accounts.first().cloned(),
            Some(id) => self.accounts.iter().find(|known| *known == id).cloned(),
        }
    }

    /// Adds or replaces a long-lived key of a user, or of the account itself.
    pub(crate) fn add_key(&mut self, id: &str, secret: &str, account: &str, user: Option<&str>) {
        let kind = user.map_or(Kind::Root, |name| Kind::User {
            name: name.to_owned(),
        });
        let principal = Principal {
            account: account.to_owned(),
            kind,
            limits: None,
        };
        let key = Key {
            secret: secret.to_owned(),
            principal,
            temporary: None,
            revoked: false,
        };
        self.keys.insert(id.to_owned(), key);
    }

    /// Makes a random temporary key for a session of a role. Returns its id and the key.
    pub(crate) fn issue(
        &mut self,
        principal: Principal,
        now: Timestamp,
        expires: Timestamp,
    ) -> (String, Key) {
        self.prune(now);
        let id = format!("STS.{}", random::alphanumeric(25));
        let temporary = Temporary {
            token: random::security_token(),
            expires,
        };
        let key = Key {
            secret: random::alphanumeric(44),
            principal,
            temporary: Some(temporary),
            revoked: false,
        };
        self.keys.insert(id.clone(), key.clone());
        (id, key)
    }

    fn prune(&mut self, now: Timestamp) {
        if self
            .pruned
            .is_some_and(|last| now.duration_since(last) < SignedDuration::from_mins(1))
        {
            return;
        }
        self.pruned = Some(now);
        self.keys.retain(|_, key| {
            key.temporary
                .as_ref()
                .is_none_or(|temporary| now.duration_since(temporary.expires) < MEMORY)
        });
    }

    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// Revokes or restores a key; `false` if there is none.
    pub(crate) fn set_revoked(&mut self, id: &str, revoked: bool) -> bool {
        self.keys
            .get_mut(id)
            .map(|key| key.revoked = revoked)
            .is_some()
    }

    /// Revokes the keys of all sessions of a role and says how many there were.
    pub(crate) fn revoke_sessions(&mut self, role_arn: &str) -> usize {
        let sessions = self.keys.values_mut().filter(|key| {
            key.temporary.is_some() && !key.revoked && key.principal.arn() == role_arn
        });
        sessions.map(|key| key.revoked = true).count()
    }

    pub(crate) fn put_role(&mut self, account: &str, role: Role) -> String {
        let arn = role_arn(account, &role.name);
        self.roles.insert(arn.clone(), role);
        arn
    }

    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    pub(crate) fn delete_role(&mut self, arn: &str) -> bool {
        self.roles.remove(arn).is_some()
    }

    pub(crate) fn put_provider(&mut self, account: &str, provider: OidcProvider) -> String {
        let arn = provider_arn(account, &provider.name);
        self.providers.insert(arn.clone(), provider);
        arn
    }

    pub(crate) fn provider(&self, arn: &str) -> Option<&OidcProvider> {
        self.providers.get(arn)
    }

    pub(crate) fn delete_provider(&mut self, arn: &str) -> bool {
        self.providers.remove(arn).is_some()
    }

    /// Says whether the principal may do this now: rules that change hold for living sessions too.
    pub(crate) fn permits(&self, principal: &Principal, action: &str, resource: &Resource) -> bool {
        let arn = principal.arn();
        let rules = match principal.kind {
            Kind::Root => return true,
            Kind::User { .. } => self.rules.get(&arn),
            Kind::Session { .. } => self.roles.get(&arn).map(|role| &role.rules),
        };
        let Some(rules) = rules else {
            return false;
        };
        let account = &principal.account;
        let decide = |policy: &Policy| policy.decide(account, action, resource);
        let attached = self.policies.get(&arn).and_then(decide);
        let allowed =
            attached.unwrap_or_else(|| permission::allows(rules, account, action, resource));
        let limits = principal.limits.as_deref();
        allowed && limits.is_none_or(|limits| decide(limits) == Some(true))
    }

    /// Replaces who may assume a role by its trust policy.
    pub(crate) fn put_trust(&mut self, role: &str, trust: TrustPolicy) {
        self.trusts.insert(role.to_owned(), trust);
    }

    pub(crate) fn trust(&self, role: &str) -> Option<&TrustPolicy> {
        self.trusts.get(role)
    }

    pub(crate) fn delete_trust(&mut self, role: &str) -> bool {
        self.trusts.remove(role).is_some()
    }

    /// Attaches a policy to a user or role, in the place of the one before.
    pub(crate) fn put_policy(&mut self, principal: &str, policy: Policy) {
        self.policies.insert(principal.to_owned(), policy);
    }

    pub(crate) fn delete_policy(&mut self, principal: &str) -> bool {
        self.policies.remove(principal).is_some()
    }
}
