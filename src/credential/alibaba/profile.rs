//! Profiles in the vendor's credentials file: what one says, without following it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::credential::AccessKey;

/// What a profile is.
#[derive(Debug)]
pub(super) enum Found {
    /// A key, to be used as it is.
    AccessKey(AccessKey),
    /// A role that the key enters.
    RamRole(AccessKey, Role),
    /// A role for a token file.
    OidcRole {
        /// The role.
        role: Role,
        /// The OIDC provider.
        provider_arn: String,
        /// Where the token is.
        token_file: PathBuf,
    },
    /// The instance's role, of this name if it has one.
    InstanceRole(Option<String>),
}

/// A role that a profile names.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) policy: Option<String>,
}

/// The profile `name` of a file that holds `text`.
///
/// # Errors
/// What is wrong with it, in words that hold nothing of it.
pub(super) fn parse(text: &str, name: &str) -> Result<Found, &'static str> {
    let profile = section(text, name).ok_or("has no such profile")?;
    let get = |key: &str| profile.get(key).copied().filter(|value| !value.is_empty());
    let owned = |key: &str| get(key).map(str::to_owned);
    if get("enable").is_some_and(|enable| enable.eq_ignore_ascii_case("false")) {
        return Err("disables its profile");
    }
    let key = || {
        Some(AccessKey {
            id: owned("access_key_id")?,
            secret: SecretString::from(get("access_key_secret")?),
            token: get("security_token").map(SecretString::from),
        })
    };
    let key = || key().ok_or("has no access_key_id or access_key_secret in its profile");
    let role = || {
        let arn = owned("role_arn").ok_or("has no role_arn in its profile")?;
        Ok::<_, &'static str>(Role {
            arn,
            session_name: owned("role_session_name"),
            external_id: owned("external_id"),
            policy: owned("policy"),
        })
    };
    match get("type").unwrap_or_default() {
        "access_key" => key().map(Found::AccessKey),
        "ram_role_arn" => Ok(Found::RamRole(key()?, role()?)),
        "oidc_role_arn" => {
            let token_file = get("oidc_token_file_path").map(PathBuf::from);
            let token_file = token_file.filter(|path| path.is_absolute());
            Ok(Found::OidcRole {
                role: role()?,
                provider_arn: owned("oidc_provider_arn")
                    .ok_or("has no oidc_provider_arn in its profile")?,
                token_file: token_file
                    .ok_or("has no absolute oidc_token_file_path in its profile")?,
            })
        }
        "ecs_ram_role" => Ok(Found::InstanceRole(owned("role_name"))),
        "rsa_key_pair" => Err("has a profile of type rsa_key_pair, which is not supported"),
        _ => Err("has a profile without a type, or of one that is not supported"),
    }
}

/// The keys of a section of an INI file. A later key wins.
fn section<'t>(text: &'t str, name: &str) -> Option<BTreeMap<&'t str, &'t str>> {
    let mut found: Option<BTreeMap<&str, &str>> = None;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            inside = title.trim() == name;
            if inside {
                found.get_or_insert_default();
            }
        } else if inside && let Some((key, value)) = line.split_once('=') {
            found
                .get_or_insert_default()
                .insert(key.trim(), value.trim());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const FILE: &str = "
# comment
[default]
type = access_key
access_key_id = id
access_key_secret = canary=s
[role]
type=ram_role_arn
access_key_id=id
access_key_secret=canary
role_arn = acs:ram::1:role/shop
external_id = x
[oidc]
type = oidc_role_arn
role_arn = acs:ram::1:role/shop
oidc_provider_arn = acs:ram::1:oidc-provider/c
oidc_token_file_path = /token
[ecs]
type = ecs_ram_role
[off]
enable = false
type = access_key
[rsa]
type = rsa_key_pair
[bare]
type = access_key
access_key_id = id
";

    #[test]
    fn each_type_of_profile_is_understood() {
        let Ok(Found::AccessKey(key)) = parse(FILE, "default") else {
            panic!("no key")
        };
        assert_eq!((&*key.id, key.secret.expose_secret()), ("id", "canary=s"));
        let Ok(Found::RamRole(_, role)) = parse(FILE, "role") else {
            panic!("no role")
        };
        assert_eq!(role.arn, "acs:ram::1:role/shop");
        assert_eq!(role.external_id.as_deref(), Some("x"));
        assert!(matches!(parse(FILE, "oidc"), Ok(Found::OidcRole { .. })));
        assert!(matches!(parse(FILE, "ecs"), Ok(Found::InstanceRole(None))));
        assert!(!format!("{:?}", parse(FILE, "role")).contains("canary"));
    }

    #[test]
    fn what_is_broken_is_said_without_quoting() {
        let table = [
            ("nobody", "has no such profile"),
            ("off", "disables its profile"),
            (
                "rsa",
                "has a profile of type rsa_key_pair, which is not supported",
            ),
            (
                "bare",
                "has no access_key_id or access_key_secret in its profile",
            ),
        ];
        for (name, problem) in table {
            assert_eq!(parse(FILE, name).unwrap_err(), problem);
        }
    }
}
