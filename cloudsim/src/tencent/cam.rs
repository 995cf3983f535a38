//! CAM: who exists in Tencent Cloud, with which keys, and what they may do.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::permission::{self, Resource};
use crate::policy::{Policy, TrustPolicy};
use crate::random;
use crate::seed::Rule;
use crate::tencent::seed::{OidcProvider, Role, Tencent, User};

/// How long an expired key is still known as expired, and not merely unknown.
const MEMORY: SignedDuration = SignedDuration::from_hours(1);

/// Who makes a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// The account's UIN.
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
    /// A user, with its own UIN.
    User(String),
    /// A session of a role.
    Session { role: String, session: String },
}

/// A key, long-lived or temporary.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) principal: Principal,
    /// The token and the end of a temporary key.
    pub(crate) temporary: Option<(String, Timestamp)>,
    pub(crate) revoked: bool,
}

/// What a user or a role may do, and who may be it.
#[derive(Debug, Default)]
struct Grants {
    rules: Vec<Rule>,
    policy: Option<Policy>,
}

/// A role as it is kept.
#[derive(Debug)]
pub(crate) struct StoredRole {
    pub(crate) name: String,
    id: String,
    pub(crate) longest: SignedDuration,
    pub(crate) trust: TrustPolicy,
}

/// Everybody who exists.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    accounts: Vec<String>,
    keys: HashMap<String, Key>,
    /// By the ARN of the user or role.
    grants: HashMap<String, Grants>,
    roles: HashMap<String, StoredRole>,
    providers: HashMap<String, OidcProvider>,
}

/// The ARN of a role by its name.
pub(crate) fn role_arn(account: &str, name: &str) -> String {
    format!("qcs::cam::uin/{account}:roleName/{name}")
}

/// The ARN of an OIDC provider.
pub(crate) fn provider_arn(account: &str, name: &str) -> String {
    format!("qcs::cam::uin/{account}:oidc-provider/{name}")
}

fn user_arn(account: &str, uin: &str) -> String {
    format!("qcs::cam::uin/{account}:uin/{uin}")
}

/// The account and the end of a role's ARN, `roleName/<name>` or `role/<id>`.
pub(crate) fn split_role_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, rest) = arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    let named = rest
        .strip_prefix("roleName/")
        .or(rest.strip_prefix("role/"));
    let whole = named.is_some_and(|name| !name.is_empty()) && !account.is_empty();
    whole.then_some((account, rest))
}

/// A number such as the cloud gives to roles, always the same for the same ARN.
pub(crate) fn pseudo_id(arn: &str) -> String {
    let sum = arn.bytes().fold(0u64, |sum, byte| {
        sum.wrapping_mul(131).wrapping_add(u64::from(byte))
    });
    format!("46116860{:011}", sum % 100_000_000_000)
}

// === impl Principal ===

impl Principal {
    /// The ARN of what holds the permissions: the account, the user or the role (not the session).
    pub(crate) fn arn(&self) -> String {
        match &self.kind {
            Kind::Root => user_arn(&self.account, &self.account),
            Kind::User(uin) => user_arn(&self.account, uin),
            Kind::Session { role, .. } => role_arn(&self.account, role),
        }
    }

    /// All names by which a trust policy may mean it.
    pub(crate) fn names(&self) -> Vec<String> {
        vec![self.arn(), format!("qcs::cam::uin/{}:root", self.account)]
    }

    pub(crate) fn session(&self) -> Option<&str> {
        match &self.kind {
            Kind::Session { session, .. } => Some(session),
            Kind::Root | Kind::User(_) => None,
        }
    }
}

// === impl Registry ===

impl Registry {
    pub(crate) fn new(seed: &Tencent) -> Self {
        let mut registry = Self::default();
        for account in &seed.accounts {
            let uin = &account.uin;
            registry.accounts.push(uin.clone());
            for key in &account.access_keys {
                registry.put_key(uin, None, &key.id, key.secret.reveal());
            }
            for user in &account.users {
                registry.put_user(uin, user);
            }
            for provider in &account.oidc_providers {
                registry.put_provider(uin, provider.clone());
            }
            for role in &account.roles {
                registry.put_role(uin, role);
            }
        }
        registry
    }

    /// The account named, or the first; `None` if it does not exist.
    pub(crate) fn account(&self, uin: Option<&str>) -> Option<String> {
        match uin {
            None => self.accounts.first().cloned(),
            Some(uin) => self.accounts.iter().find(|known| *known == uin).cloned(),
        }
    }

    /// Adds or replaces a long-lived key of a user, or of the account itself.
    pub(crate) fn put_key(&mut self, account: &str, user: Option<&str>, id: &str, secret: &str) {
        let principal = Principal {
            account: account.to_owned(),
            kind: user.map_or(Kind::Root, |uin| Kind::User(uin.to_owned())),
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

    /// Adds or replaces a user, whose document can be read, and adds its keys.
    pub(crate) fn put_user(&mut self, account: &str, user: &User) {
        for key in &user.access_keys {
            self.put_key(account, Some(&user.uin), &key.id, key.secret.reveal());
        }
        let grants = Grants {
            rules: user.rules.clone(),
            policy: user.policy().unwrap_or_default(),
        };
        self.grants.insert(user_arn(account, &user.uin), grants);
    }

    /// Makes a random temporary key for a session of a role. Returns its id, its secret and its token.
    pub(crate) fn issue(
        &mut self,
        principal: Principal,
        now: Timestamp,
        ends: Timestamp,
    ) -> [String; 3] {
        // Keys are known as expired for an hour, and then no more.
        self.keys.retain(|_, key| {
            let temporary = key.temporary.as_ref();
            temporary.is_none_or(|(_, end)| now.duration_since(*end) < MEMORY)
        });
        let id = format!("AKID{}", random::alphanumeric(48));
        let (secret, token) = (random::alphanumeric(44), random::security_token());
        let key = Key {
            secret: secret.clone(),
            principal,
            temporary: Some((token.clone(), ends)),
            revoked: false,
        };
        self.keys.insert(id.clone(), key);
        [id, secret, token]
    }

    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// Revokes or restores a key; `false` if there is none.
    pub(crate) fn set_revoked(&mut self, id: &str, revoked: bool) -> bool {
        let key = self.keys.get_mut(id);
        key.map(|key| key.revoked = revoked).is_some()
    }

    /// Revokes the keys of all sessions of a role and says how many there were.
    pub(crate) fn revoke_sessions(&mut self, role: &str) -> usize {
        let sessions = self
            .keys
            .values_mut()
            .filter(|key| key.temporary.is_some() && !key.revoked && key.principal.arn() == role);
        sessions.map(|key| key.revoked = true).count()
    }

    /// Adds or replaces a role, whose documents can be read. Living sessions get the new rules.
    pub(crate) fn put_role(&mut self, account: &str, role: &Role) -> String {
        let arn = role_arn(account, &role.name);
        let grants = Grants {
            rules: role.rules.clone(),
            policy: role.policy().unwrap_or_default(),
        };
        self.grants.insert(arn.clone(), grants);
        let stored = StoredRole {
            name: role.name.clone(),
            id: role.id.clone().unwrap_or_else(|| pseudo_id(&arn)),
            longest: role.max_session_duration,
            trust: role.trust_policy(account).unwrap_or_default(),
        };
        self.roles.insert(arn.clone(), stored);
        arn
    }

    /// A role by its ARN, by name or by id.
    pub(crate) fn role(&self, arn: &str) -> Option<&StoredRole> {
        let (account, end) = split_role_arn(arn)?;
        match end.strip_prefix("role/") {
            None => self.roles.get(arn),
            Some(id) => self
                .roles
                .iter()
                .find(|(known, role)| {
                    role.id == id && split_role_arn(known).is_some_and(|(of, _)| of == account)
                })
                .map(|(_, role)| role),
        }
    }

    pub(crate) fn delete_role(&mut self, arn: &str) -> bool {
        self.grants.remove(arn);
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

    /// Says whether the principal may do this now. A denial of any policy wins.
    pub(crate) fn permits(&self, principal: &Principal, action: &str, resource: &Resource) -> bool {
        if principal.kind == Kind::Root {
            return true;
        }
        let Some(grants) = self.grants.get(&principal.arn()) else {
            return false;
        };
        let account = &principal.account;
        let decide = |policy: &Policy| policy.decide(account, action, resource);
        let said = grants.policy.as_ref().and_then(decide);
        let allowed =
            said.unwrap_or_else(|| permission::allows(&grants.rules, account, action, resource));
        let limits = principal.limits.as_deref();
        allowed && limits.is_none_or(|limits| decide(limits) == Some(true))
    }
}
