//! What the API server checks beyond types: patterns of strings, and CEL rules.
//!
//! There is no webhook. Every string and list that a rule touches is bounded, because the API
//! server refuses rules that could cost too much.

use kube::core::{Message, Reason, Rule};

use super::provider;

/// A DNS subdomain: the name of a store, a Secret, a ConfigMap or a ServiceAccount.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// A DNS label: the name of a namespace.
pub const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// A key of a Secret or a ConfigMap: not `.`, and not beginning with `..`.
pub const SECRET_KEY: &str = r"^([-_a-zA-Z0-9]|\.[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$";
/// Text without control characters.
pub const PLAIN_TEXT: &str = r"^[^\x00-\x1f\x7f]+$";
/// A pattern of keys: plain text with at most 16 stars or pairs of stars, so that matching stays cheap.
pub const KEY_PATTERN: &str = r"^[^\x00-\x1f\x7f*]*(\*{1,2}[^\x00-\x1f\x7f*]*){0,16}$";
/// Text without white space and control characters.
pub const ONE_WORD: &str = r"^[^\s\x00-\x1f\x7f]+$";
/// The id of a cloud region.
pub const REGION: &str = "^([a-z]{2}|rus)(-[a-z0-9]+){1,4}$";
/// The URL of a host. What more it must be is for the operator to check.
pub const URL: &str = r"^https?://[^/?#@\s]+/?$";
/// A host, with or without a scheme in front of it. What more it must be is for the operator to check.
pub const HOST: &str = r"^(https?://)?[A-Za-z0-9.:\[\]-]+/?$";
/// A role of Alibaba Cloud RAM.
pub const ROLE_ARN: &str = "^acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}$";
/// An OIDC provider of Alibaba Cloud RAM.
pub const OIDC_PROVIDER_ARN: &str = "^acs:ram::[0-9]{1,20}:oidc-provider/[A-Za-z0-9._-]{1,128}$";
/// A role of Tencent Cloud CAM, by name or by number; those of services have a kind in between.
pub const CAM_ROLE_ARN: &str = "^qcs::cam::uin/[0-9]{1,20}:(roleName/[A-Za-z0-9+=,.@_-]{1,128}|role/[0-9]{1,20}|role/tencentcloudServiceRole/[0-9]{1,20}|role/tencentcloudServiceRoleName/[A-Za-z0-9+=,.@_-]{1,128})$";
/// A role of either cloud.
pub const ANY_ROLE_ARN: &str = "^(acs:ram::[0-9]{1,20}:role/[A-Za-z0-9._-]{1,64}|qcs::cam::uin/[0-9]{1,20}:(roleName/[A-Za-z0-9+=,.@_-]{1,128}|role/[0-9]{1,20}|role/tencentcloudServiceRole/[0-9]{1,20}|role/tencentcloudServiceRoleName/[A-Za-z0-9+=,.@_-]{1,128}))$";
/// The name of a session of a CAM role.
pub const CAM_SESSION_NAME: &str = "^[A-Za-z0-9+=,.@_-]+$";
/// The name of a role.
pub const ROLE_NAME: &str = "^[A-Za-z0-9._-]+$";
/// The name of a role's session.
pub const SESSION_NAME: &str = "^[A-Za-z0-9.@_-]+$";
/// What the owner of a role asks callers to say.
pub const EXTERNAL_ID: &str = "^[A-Za-z0-9_+=,.@:/-]+$";
/// The audience of a token.
pub const AUDIENCE: &str = "^[A-Za-z0-9._:/-]+$";

/// Durations that the operator and CEL both read, none so long that CEL's nanoseconds overflow.
const INTERVAL: &str =
    "^([0-9]{1,5}([.][0-9]{1,9})?h)?([0-9]{1,7}([.][0-9]{1,9})?m)?([0-9]{1,9}([.][0-9]{1,9})?s)?$";

/// On an interval: its form.
pub fn interval_form() -> Rule {
    Rule::new(format!("self != '' && self.matches('{INTERVAL}')"))
        .message("must be hours, minutes and seconds, such as 90s, 1h or 1h30m")
}

/// On an interval: its length, if its form is right.
pub fn interval_length() -> Rule {
    Rule::new(format!(
        "self == '' || !self.matches('{INTERVAL}') || (duration(self) >= duration('10s') && duration(self) <= duration('8760h'))"
    ))
    .message("must be from 10s to 8760h")
}

/// On an object's spec: every entry has a store.
pub fn every_entry_has_a_store() -> Rule {
    Rule::new("has(self.secretStoreRef) || self.data.all(entry, has(entry.sourceRef))")
        .message("must be set unless every entry of spec.data has a sourceRef")
        .field_path(".secretStoreRef")
        .reason(Reason::FieldValueRequired)
}

/// On a provider block.
pub fn one_provider() -> Rule {
    let set = provider::FIELDS.map(|field| format!("has(self.{field})"));
    let rule = format!("[{}].filter(set, set).size() == 1", set.join(", "));
    Rule::new(rule).message(provider::exactly_one().as_str())
}

/// On an SSM store: its region is none of the region's zones, which are numbered.
pub fn no_zone() -> Rule {
    Rule::new("!self.region.matches('-[0-9]+$')")
        .message(Message::Expression(
            "self.region + ' is a zone: its region is ' + self.region.substring(0, self.region.lastIndexOf('-'))".to_owned(),
        ))
        .field_path(".region")
}

/// On a dedicated KMS instance.
pub fn one_ca_bundle() -> Rule {
    Rule::new("!has(self.caBundle) || !has(self.caBundleRef)")
        .message("must have either caBundle or caBundleRef, not both")
        .field_path(".caBundleRef")
}

/// On a KMS store: its other regions are other ones, each named once.
pub fn other_regions() -> Rule {
    Rule::new(
        "!has(self.failover) || self.failover.all(other, other.region != self.region && \
         self.failover.exists_one(same, same.region == other.region))",
    )
    .message("must name other regions than the store's own, each of them once")
    .field_path(".failover")
}

/// On a remote reference.
pub fn version_or_stage() -> Rule {
    Rule::new("!has(self.version) || !has(self.stage)")
        .message("must have either version or stage, not both")
        .field_path(".stage")
}

/// On an auth block.
pub fn one_source() -> Rule {
    Rule::new(
        "[has(self.rrsa), has(self.webIdentity), has(self.operator), has(self.accessKey), has(self.instanceRole)].filter(set, set).size() == 1",
    )
    .message("must have exactly one of: rrsa, webIdentity, operator, accessKey, instanceRole")
}

/// On a store's spec: RRSA is Alibaba Cloud's.
pub fn rrsa_on_alibaba() -> Rule {
    Rule::new("!has(self.auth.rrsa) || !has(self.provider.ssm)")
        .message("is for stores of Alibaba Cloud; a store of provider ssm takes webIdentity")
        .field_path(".auth.rrsa")
        .reason(Reason::FieldValueForbidden)
}

/// On a store's spec: tokens for CAM roles are Tencent Cloud's.
pub fn web_identity_on_tencent() -> Rule {
    Rule::new("!has(self.auth.webIdentity) || has(self.provider.ssm)")
        .message("is for stores of provider ssm; a store of Alibaba Cloud takes rrsa")
        .field_path(".auth.webIdentity")
        .reason(Reason::FieldValueForbidden)
}

/// On a store's spec: the role to assume is one of the cloud that is read.
pub fn role_of_the_cloud() -> Rule {
    Rule::new(
        "!has(self.auth.assumeRole) || has(self.provider.ssm) == self.auth.assumeRole.roleArn.startsWith('qcs::')",
    )
    .message(
        "must be a role of the cloud that is read: qcs::cam::uin/UIN:roleName/NAME with provider ssm, \
         else acs:ram::ACCOUNT:role/NAME",
    )
    .field_path(".auth.assumeRole.roleArn")
}

/// On a block that exchanges a token: only a ServiceAccount may supply the role that is not named.
pub fn role_of_somebody() -> Rule {
    Rule::new("has(self.roleArn) || has(self.serviceAccountRef)")
        .message("must be set unless serviceAccountRef names an account whose annotations tell")
        .field_path(".roleArn")
        .reason(Reason::FieldValueRequired)
}

/// On a block that exchanges a token: an audience is asked for a ServiceAccount's token only.
pub fn audience_for_the_account() -> Rule {
    Rule::new("!has(self.audience) || has(self.serviceAccountRef)")
        .message("has a meaning only with serviceAccountRef")
        .field_path(".audience")
}

/// On the spec of a namespaced store: the reference at `path` stays in the store's namespace.
pub fn own_namespace(path: &str) -> Rule {
    reference(path, |at| {
        format!("!has({at}.namespace) && !has({at}.fromConsumer)")
    })
    .message(
        "must have neither namespace nor fromConsumer: a CloudSecretStore uses its own namespace",
    )
    .reason(Reason::FieldValueForbidden)
}

/// On the spec of a cluster store: the reference at `path` says which namespace it means.
pub fn said_namespace(path: &str) -> Rule {
    reference(path, |at| {
        format!("has({at}.namespace) != (has({at}.fromConsumer) && {at}.fromConsumer)")
    })
    .message("must have either namespace or fromConsumer: true on a ClusterCloudSecretStore")
}

/// On the spec of a namespaced store: the reference at `path`, which never means the consumer's
/// namespace, stays in the store's.
pub fn no_namespace(path: &str) -> Rule {
    reference(path, |at| format!("!has({at}.namespace)"))
        .message("must have no namespace: a CloudSecretStore uses its own namespace")
        .reason(Reason::FieldValueForbidden)
}

/// On the spec of a cluster store: the reference at `path`, which never means the consumer's
/// namespace, names one.
pub fn some_fixed_namespace(path: &str) -> Rule {
    reference(path, |at| format!("has({at}.namespace)"))
        .message("must have a namespace on a ClusterCloudSecretStore")
}

/// On a condition of a cluster store.
pub fn some_namespace() -> Rule {
    Rule::new("has(self.namespaces) || has(self.namespaceSelector)").message(
        "must have namespaces or namespaceSelector; for every namespace, say namespaceSelector: {}",
    )
}

/// A rule on a spec about the optional reference at `path`, such as `auth.rrsa.serviceAccountRef`.
fn reference(path: &str, check: impl Fn(&str) -> String) -> Rule {
    let at = format!("self.{path}");
    let absent: Vec<String> = at
        .match_indices('.')
        .skip(2)
        .map(|(dot, _)| format!("!has({})", &at[..dot]))
        .chain([format!("!has({at})")])
        .collect();
    Rule::new(format!("{} || ({})", absent.join(" || "), check(&at))).field_path(format!(".{path}"))
}
