//! Who may use a cluster store, and for which keys. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::glob;
use crate::api::StoreCondition;
use crate::controller::quote::quoted;

/// How the names of other accounts' resources begin.
const ARN: &str = "acs:";
/// How many patterns a refusal shows.
const SHOWN: usize = 5;

/// Why a store's conditions do not admit a read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No condition admits the namespace.
    #[error("spec.conditions do not admit the namespace {0}")]
    Namespace(String),
    /// Conditions admit the namespace, but not for this key.
    #[error(
        "spec.conditions do not admit the key {key} for the namespace {namespace}, which may read \
         {}{}",
        shown(patterns),
        arn_advice(key, patterns)
    )]
    Key {
        /// The namespace that asks.
        namespace: String,
        /// The key it asks for.
        key: String,
        /// The patterns of the keys that it may read. Those of conditions that do not admit it may
        /// name others' namespaces, and are not among them.
        patterns: Vec<String>,
    },
}

/// Whether `conditions` admit that `namespace`, which carries `labels`, reads `key`. Any condition
/// that matches admits.
///
/// # Errors
/// What is not admitted.
pub fn admit(
    conditions: &[StoreCondition],
    namespace: &str,
    labels: &BTreeMap<String, String>,
    key: &str,
) -> Result<(), Refusal> {
    let mut admitting = conditions
        .iter()
        .filter(|c| covers(c, namespace, labels))
        .peekable();
    if admitting.peek().is_none() {
        return Err(Refusal::Namespace(namespace.to_owned()));
    }
    let matching = |condition: &StoreCondition| {
        condition.keys.is_empty()
            || condition
                .keys
                .iter()
                .any(|pattern| key_matches(pattern, namespace, key))
    };
    if admitting.clone().any(matching) {
        return Ok(());
    }
    let patterns = admitting.flat_map(|condition| &condition.keys);
    Err(Refusal::Key {
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        patterns: patterns.map(|pattern| of(namespace, pattern)).collect(),
    })
}

/// The first of `patterns`, and how many more there are.
fn shown(patterns: &[String]) -> String {
    let first: Vec<String> = patterns.iter().take(SHOWN).map(|p| quoted(p)).collect();
    match patterns.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and keys of {more} more patterns", first.join(", ")),
    }
}

/// What whoever names an ARN cannot see in patterns such as `**`.
fn arn_advice(key: &str, patterns: &[String]) -> &'static str {
    if key.starts_with(ARN) && !patterns.iter().any(|pattern| pattern.starts_with(ARN)) {
        return "; an ARN needs a pattern that begins with acs:";
    }
    ""
}

fn covers(condition: &StoreCondition, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
    let selector = condition.namespace_selector.as_ref();
    condition.namespaces.iter().any(|name| name == namespace)
        || selector.is_some_and(|selector| selects(selector, labels))
}

/// Kubernetes' meaning of a label selector; an empty one selects everything, an operator that is
/// not known nothing.
fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = |(key, value): (&String, &String)| labels.get(key) == Some(value);
    let meets = |requirement: &LabelSelectorRequirement| {
        let value = labels.get(&requirement.key);
        let listed = |value: &String| requirement.values.iter().flatten().any(|v| v == value);
        match requirement.operator.as_str() {
            "In" => value.is_some_and(listed),
            "NotIn" => !value.is_some_and(listed),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    selector.match_labels.iter().flatten().all(equal)
        && selector.match_expressions.iter().flatten().all(meets)
}

/// Whether `key` matches `pattern`, in which `{namespace}` stands for the namespace that asks, `*`
/// for anything but `/`, and `**` for anything. An ARN, which may name another account's secret, is
/// matched by patterns that begin as ARNs do, whatever else their stars would stand for.
fn key_matches(pattern: &str, namespace: &str, key: &str) -> bool {
    if key.starts_with(ARN) && !pattern.starts_with(ARN) {
        return false;
    }
    glob::covers(&of(namespace, pattern), key)
}

/// What `pattern` is for `namespace`.
fn of(namespace: &str, pattern: &str) -> String {
    pattern.replace("{namespace}", namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(namespaces: &[&str], keys: &[&str]) -> StoreCondition {
        let owned = |all: &[&str]| all.iter().map(|s| (*s).to_owned()).collect();
        StoreCondition {
            namespaces: owned(namespaces),
            keys: owned(keys),
            ..StoreCondition::default()
        }
    }

    #[test]
    fn patterns_match_as_documented() {
        let table = [
            ("/shop/db", "/shop/db", true),
            ("/shop/db", "/shop/db2", false),
            ("/{namespace}/**", "/shop/db", true),
            ("/{namespace}/**", "/shop/a/b/c", true),
            ("/{namespace}/**", "/shopping/db", false),
            ("/{namespace}/**", "/other/shop/db", false),
            ("/shop/*", "/shop/db", true),
            ("/shop/*", "/shop/a/b", false),
            ("/*/db", "/shop/db", true),
            ("/*/db", "/a/b/db", false),
            ("**", "anything/at all", true),
            ("**/db", "/a/b/db", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("/shop/d?", "/shop/db", false),
            ("/SHOP/db", "/shop/db", false),
            ("/shop/**", "/shop/../finance/db", true),
            ("**", "acs:kms:cn-hangzhou:1:secret/db", false),
            ("**/db", "acs:kms:cn-hangzhou:1:secret/db", false),
            (
                "acs:kms:*:1:secret/**",
                "acs:kms:cn-hangzhou:1:secret/a/db",
                true,
            ),
            (
                "acs:kms:*:1:secret/*",
                "acs:kms:cn-hangzhou:2:secret/db",
                false,
            ),
        ];
        for (pattern, key, expected) in table {
            assert_eq!(
                key_matches(pattern, "shop", key),
                expected,
                "{pattern} on {key}"
            );
        }
    }

    #[test]
    fn any_condition_admits_and_its_own_keys_count() {
        let conditions = [
            condition(&["shop"], &["/shop/**"]),
            condition(&["shop", "blog"], &["/all"]),
        ];
        let labels = BTreeMap::new();
        assert_eq!(admit(&conditions, "shop", &labels, "/shop/db"), Ok(()));
        assert_eq!(admit(&conditions, "shop", &labels, "/all"), Ok(()));
        assert_eq!(admit(&conditions, "blog", &labels, "/all"), Ok(()));
        assert!(matches!(
            admit(&conditions, "blog", &labels, "/shop/db"),
            Err(Refusal::Key { .. })
        ));
        assert!(matches!(
            admit(&conditions, "evil", &labels, "/all"),
            Err(Refusal::Namespace(_))
        ));
        assert!(matches!(
            admit(&[], "shop", &labels, "/all"),
            Err(Refusal::Namespace(_))
        ));
    }

    #[test]
    fn a_refused_key_is_told_with_what_this_namespace_may_read_and_nothing_of_others() {
        let many: Vec<String> = (0..9).map(|i| format!("/many-{i}/*")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let conditions = [
            condition(&["finance"], &["/canary-merger/**"]),
            condition(&["shop", "blog"], &["/{namespace}/**", "/all\u{202e}"]),
            condition(&["shop"], &many),
        ];
        let refused = |namespace| {
            let labels = BTreeMap::new();
            let refusal = admit(&conditions, namespace, &labels, "/k").unwrap_err();
            refusal.to_string()
        };
        assert_eq!(
            refused("blog"),
            r#"spec.conditions do not admit the key /k for the namespace blog, which may read "/blog/**", "/all\u{202e}""#
        );
        let shop = refused("shop");
        let end = r#""/many-2/*" and keys of 6 more patterns"#;
        assert!(shop.ends_with(end), "{shop}");
        for told in [shop, refused("blog"), refused("stranger")] {
            assert!(
                !told.contains("canary") && !told.contains("finance"),
                "{told}"
            );
        }
        let long = [condition(&["shop"], &[&*"/x".repeat(256)])];
        let told = admit(&long, "shop", &BTreeMap::new(), "/k").unwrap_err();
        assert!(told.to_string().len() < 300, "{told}");
    }

    #[test]
    fn an_arn_that_no_pattern_can_admit_is_told_so() {
        let told = |key: &str, pattern: &str| {
            let conditions = [condition(&["shop"], &[pattern])];
            let refusal = admit(&conditions, "shop", &BTreeMap::new(), key);
            refusal.unwrap_err().to_string()
        };
        let arn = "acs:kms:cn-hangzhou:1:secret/db";
        let end = r#"may read "**"; an ARN needs a pattern that begins with acs:"#;
        assert!(told(arn, "**").ends_with(end), "{}", told(arn, "**"));
        for (key, pattern) in [("/db", "/x"), (arn, "acs:kms:*:2:secret/**")] {
            assert!(!told(key, pattern).contains("needs a pattern"), "{key}");
        }
    }

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let requirement = |operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: "team".into(),
            operator: operator.into(),
            values: Some(values.iter().map(|s| (*s).to_owned()).collect()),
        };
        let with = |expressions| LabelSelector {
            match_expressions: Some(expressions),
            ..LabelSelector::default()
        };
        let a = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let none = BTreeMap::new();
        assert!(
            selects(&LabelSelector::default(), &none),
            "an empty selector selects all"
        );
        let table = [
            (requirement("In", &["a", "b"]), true, false),
            (requirement("NotIn", &["a"]), false, true),
            (requirement("Exists", &[]), true, false),
            (requirement("DoesNotExist", &[]), false, true),
            (requirement("Maybe", &["a"]), false, false),
        ];
        for (requirement, labelled, bare) in table {
            let selector = with(vec![requirement]);
            assert_eq!(selects(&selector, &a), labelled, "{selector:?}");
            assert_eq!(
                selects(&selector, &none),
                bare,
                "{selector:?} without labels"
            );
        }
    }
}
