//! What a key names: a secret of the account by its name, or one of any account by its ARN.

use crate::provider::{CallError, Class, Detail, RemoteKey};

/// The stage that KMS reads where none is named.
pub(super) const CURRENT: &str = "ACSCurrent";
/// The longest name that `CreateSecret` takes.
const LONGEST_NAME: usize = 192;
/// How ARNs of KMS begin.
const ARN: &str = "acs:kms:";

/// Whether `text` is a plain name by the rules of `CreateSecret`.
pub(super) fn is_plain(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '+' | '=' | '.' | '@' | '-');
    (1..=LONGEST_NAME).contains(&text.len()) && text.chars().all(allowed)
}

/// Judges `key` before anything is sent, for a gateway in `region`.
///
/// # Errors
/// [`Class::Invalid`] for a version beside a stage, an ARN that is none of a secret, and one of another
/// region, which this gateway cannot reach.
pub(super) fn check(key: &RemoteKey, region: &str) -> Result<(), CallError> {
    if key.version.is_some() && key.stage.is_some() {
        return Err(invalid(
            "VersionAndStage",
            "name a version or a stage, not both",
        ));
    }
    let Some(rest) = key.key.strip_prefix(ARN) else {
        return Ok(());
    };
    let parts: Vec<&str> = rest.splitn(3, ':').collect();
    let [arn_region, account, resource] = parts[..] else {
        return Err(malformed());
    };
    let numeric = !account.is_empty() && account.chars().all(|c| c.is_ascii_digit());
    if !numeric || !resource.strip_prefix("secret/").is_some_and(is_plain) {
        return Err(malformed());
    }
    if arn_region != region {
        let problem = "the ARN is of another region than the store; use a store of its region";
        return Err(invalid("ArnRegion", problem));
    }
    Ok(())
}

/// Whether an answer about `told` is about `asked`: the same text, or the name inside the ARN.
pub(super) fn is_same(told: &str, asked: &str) -> bool {
    told == asked
        || asked.starts_with(ARN)
            && asked
                .split_once(":secret/")
                .is_some_and(|(_, name)| name == told)
}

fn malformed() -> CallError {
    let problem = "write an ARN as acs:kms:REGION:ACCOUNT:secret/NAME";
    invalid("Arn", problem)
}

fn invalid(code: &str, problem: &'static str) -> CallError {
    CallError::new(Class::Invalid, code).with_detail(Detail::Fixed(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(key: &str) -> Result<(), String> {
        let checked = check(&RemoteKey::named(key), "cn-hangzhou");
        checked.map_err(|error| {
            assert_eq!(error.class, Class::Invalid);
            error.code().to_owned()
        })
    }

    #[test]
    fn an_arn_names_a_secret_of_the_stores_region() {
        let table = [
            ("db/pass", Ok(())),
            ("acs:kms:cn-hangzhou:2:secret/a/b+c=@.d-e_f", Ok(())),
            ("acs:kms:cn-beijing:2:secret/a", Err("ArnRegion")),
            ("acs:kms:cn-hangzhou:2:key/a", Err("Arn")),
            ("acs:kms:cn-hangzhou:2:secret/", Err("Arn")),
            ("acs:kms:cn-hangzhou::secret/a", Err("Arn")),
            ("acs:kms:cn-hangzhou:x:secret/a", Err("Arn")),
            ("acs:kms:cn-hangzhou", Err("Arn")),
        ];
        for (key, expected) in table {
            assert_eq!(code(key), expected.map_err(str::to_owned), "{key}");
        }
    }

    #[test]
    fn a_version_and_a_stage_exclude_each_other() {
        let key = RemoteKey {
            version: Some("v1".to_owned()),
            stage: Some(CURRENT.to_owned()),
            ..RemoteKey::named("a")
        };
        let error = check(&key, "cn-hangzhou").unwrap_err();
        assert_eq!(
            (error.class, error.code()),
            (Class::Invalid, "VersionAndStage")
        );
    }

    #[test]
    fn an_answer_is_about_what_was_asked_or_it_is_none() {
        let arn = "acs:kms:cn-hangzhou:2:secret/a/b";
        assert!(is_same("a/b", "a/b"));
        assert!(is_same(arn, arn));
        assert!(is_same("a/b", arn));
        assert!(!is_same("b", arn));
        assert!(!is_same("a", "a/b"));
        assert!(!is_same("x", "y:secret/x"));
        assert!(!is_same("acs:kms:cn-hangzhou:3:secret/a/b", arn));
    }
}
