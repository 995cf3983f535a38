//! One call to Tencent Cloud: whose it is, in which region, and what its body says.

use serde_json::{Map, Value};

use crate::cloud::Cloud;
use crate::parameter::Place;
use crate::permission::Resource;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::tencent::action::Action;
use crate::tencent::cam::Principal;
use crate::tencent::store::is_name;

/// What a call needs beside the cloud's state.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) action: Action,
    pub(super) region: &'a str,
    body: Map<String, Value>,
}

pub(super) fn refuse(code: &'static str, message: &str) -> Refusal {
    Refusal::new(200, code, message)
}

/// Reads a body as far as the ledger needs it.
pub(super) fn said<'b>(body: &'b Value, name: &str) -> Option<&'b str> {
    body.get(name).and_then(Value::as_str)
}

/// The region a call is for. It decides which data it is about, whatever host it was sent to.
fn region(request: &Request) -> Result<&str, Refusal> {
    let region = request.header("x-tc-region").unwrap_or_default();
    if region.is_empty() {
        return Err(Refusal::missing("X-TC-Region").in_body());
    }
    let word = |part: &str| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let parts: Vec<&str> = region.split('-').collect();
    // `ap-beijing-3` is a zone, and of no use as a region.
    if (2..=3).contains(&parts.len()) && parts.iter().all(|part| word(part)) {
        return Ok(region);
    }
    Err(refuse(
        "UnsupportedRegion",
        "The API does not support the requested region.",
    ))
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(super) fn new(
        cloud: &'a Cloud,
        action: Action,
        request: &'a Request,
    ) -> Result<Self, Refusal> {
        let region = region(request)?;
        let kind = request.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(refuse(
                "InvalidRequest",
                "The content type is not application/json.",
            ));
        }
        let body = serde_json::from_slice(&request.body)
            .map_err(|_| refuse("InvalidRequest", "The body is not a JSON object."))?;
        let call = Self {
            cloud,
            action,
            region,
            body,
        };
        let unknown = |name: &&String| !action.parameters().contains(&name.as_str());
        match call.body.keys().find(unknown) {
            // What a client misspelt may be anything, so it is not repeated.
            Some(_) => Err(refuse("UnknownParameter", "A parameter is not recognized.")),
            None => Ok(call),
        }
    }

    /// Counts the call for an account.
    pub(super) fn throttle(&self, account: &str) -> Result<(), Refusal> {
        let state = &self.cloud.tencent;
        let limit = {
            let settings = state.settings.read();
            let other = settings.requests_per_second.get(self.action.name());
            let limit = other.copied().unwrap_or(Some(self.action.quota()));
            limit.filter(|_| settings.quotas)
        };
        let Some(limit) = limit else {
            return Ok(());
        };
        let second = self.cloud.now().as_second();
        let of = (account.to_owned(), self.action.name());
        if state.quotas.write().take(second, of, limit) {
            return Ok(());
        }
        Err(refuse(
            "RequestLimitExceeded",
            "Your current request times exceeds the frequency limit of the API in a second. Please reduce the frequency of calls.",
        ))
    }

    /// A text, if there is one. An empty one counts as absent.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(invalid(name, "it is not a string")),
        }
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?
            .ok_or_else(|| Refusal::missing(name).in_body())
    }

    /// A whole number of this range, or what it is without one.
    pub(super) fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
        without: i64,
    ) -> Result<i64, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(without),
            Some(value) => value
                .as_i64()
                .filter(|number| range.contains(number))
                .ok_or_else(|| invalid(name, "it is not a number of its range")),
        }
    }

    /// Whatever is said under a name.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.body.get(name).filter(|value| !value.is_null())
    }

    /// The place of `SecretName`, in the caller's account and the call's region.
    pub(super) fn place(&self, caller: &Principal) -> Result<Place, Refusal> {
        let name = self.require("SecretName")?;
        if !is_name(name) {
            let why = "it must be 1 to 128 of A-Za-z0-9_-, the first of them alphanumeric";
            return Err(invalid("SecretName", why));
        }
        Ok(Place {
            account: caller.account.clone(),
            region: self.region.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Permission before existence: nobody learns about secrets that are none of their business.
    pub(super) fn permit(&self, caller: &Principal, place: &Place) -> Result<(), Refusal> {
        let Place {
            account,
            region,
            name,
        } = place;
        self.permit_on(
            caller,
            &Resource {
                account: account.clone(),
                arn: format!("qcs::ssm:{region}:uin/{account}:secret/creatorUin/{account}/{name}"),
                name: name.clone(),
            },
        )
    }

    /// Permission of an action that is about no one secret: it must be given on `*`.
    pub(super) fn permit_all(&self, caller: &Principal) -> Result<(), Refusal> {
        self.permit_on(
            caller,
            &Resource {
                account: caller.account.clone(),
                arn: "*".to_owned(),
                name: "*".to_owned(),
            },
        )
    }

    pub(super) fn permit_on(&self, caller: &Principal, resource: &Resource) -> Result<(), Refusal> {
        let action = self.action.permission();
        let registry = self.cloud.tencent.registry.read();
        if registry.permits(caller, &action, resource) {
            return Ok(());
        }
        let message = format!(
            "you are not authorized to perform operation ({action})\nresource ({}) has no permission\n",
            resource.arn
        );
        Err(Refusal::new(200, "UnauthorizedOperation", message))
    }
}

pub(super) fn invalid(name: &str, why: &str) -> Refusal {
    let message = format!("The value of parameter `{name}` is not valid: {why}.");
    Refusal::new(200, "InvalidParameterValue", message)
}
