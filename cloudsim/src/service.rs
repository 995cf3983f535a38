//! The services behind the gateway, one file each.

pub(crate) mod oos;
pub(crate) mod sts;

use axum::http::Method;

use crate::refusal::Refusal;
use crate::request::Request;

/// Parameters that every action of the POP gateway takes.
const COMMON: [&str; 11] = [
    "Action",
    "Version",
    "Format",
    "RegionId",
    "Timestamp",
    "AccessKeyId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureVersion",
];

/// What a request is for. A new service adds its actions here and in `gateway.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// OOS: one secret parameter.
    GetSecretParameter,
    /// OOS: up to ten secret parameters.
    GetSecretParameters,
    /// STS: who is calling.
    GetCallerIdentity,
    /// STS: a token of an OIDC provider for credentials of a role.
    AssumeRoleWithOidc,
}

// === impl Action ===

impl Action {
    /// Reads from headers, else from parameters, what a request is for.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let said = |header, name| request.header(header).or_else(|| request.parameter(name));
        let version =
            said("x-acs-version", "Version").ok_or_else(|| Refusal::missing("Version"))?;
        let name = said("x-acs-action", "Action").ok_or_else(|| Refusal::missing("Action"))?;
        if request.path != "/" {
            return Err(no_such_action());
        }
        if request.method != Method::GET && request.method != Method::POST {
            return Err(Refusal::new(
                405,
                "UnsupportedHTTPMethod",
                "This http method is not supported.",
            ));
        }
        match (version, name) {
            ("2019-06-01", "GetSecretParameter") => Ok(Self::GetSecretParameter),
            ("2019-06-01", "GetSecretParameters") => Ok(Self::GetSecretParameters),
            ("2015-04-01", "GetCallerIdentity") => Ok(Self::GetCallerIdentity),
            ("2015-04-01", "AssumeRoleWithOIDC") => Ok(Self::AssumeRoleWithOidc),
            ("2019-06-01" | "2015-04-01", _) => Err(no_such_action()),
            _ => Err(Refusal::new(
                404,
                "InvalidProduct.NotFound",
                "Cannot find product according to your specified version.",
            )),
        }
    }

    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::GetSecretParameter | Self::GetSecretParameters => "oos",
            Self::GetCallerIdentity | Self::AssumeRoleWithOidc => "sts",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetSecretParameter => "GetSecretParameter",
            Self::GetSecretParameters => "GetSecretParameters",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRoleWithOidc => "AssumeRoleWithOIDC",
        }
    }

    /// The parameters that it takes beyond the common ones.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::GetSecretParameter => &["Name", "ParameterVersion", "WithDecryption"],
            Self::GetSecretParameters => &["Names", "WithDecryption"],
            Self::GetCallerIdentity => &[],
            Self::AssumeRoleWithOidc => &[
                "RoleArn",
                "OIDCProviderArn",
                "OIDCToken",
                "RoleSessionName",
                "DurationSeconds",
                "Policy",
            ],
        }
    }

    /// Refuses parameters that the action does not know: a misspelt one must not go unnoticed in a test.
    pub(crate) fn check_parameters(self, request: &Request) -> Result<(), Refusal> {
        let known = |name: &[u8]| {
            let mut known = COMMON.iter().chain(self.parameters());
            known.any(|known| known.as_bytes() == name)
        };
        if request.parameter_names().all(known) {
            return Ok(());
        }
        let message = format!(
            "{} was sent a parameter that it does not know.",
            self.name()
        );
        Err(Refusal::new(400, "InvalidParameter", message))
    }
}

fn no_such_action() -> Refusal {
    Refusal::new(
        404,
        "InvalidApi.NotFound",
        "Specified api is not found, please check your url and method.",
    )
}
