//! A request as it came over the wire, read but not yet believed.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use serde_json::Value;

use crate::parameter::is_name;
use crate::refusal::Refusal;
use crate::secret;

/// A name and a value, decoded but not necessarily UTF-8.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// One request to a cloud's gateway.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) source: SocketAddr,
    /// Whether it came to the dedicated instance of KMS.
    pub(crate) instance: bool,
    query: Vec<Pair>,
    form: Vec<Pair>,
}

// === impl Request ===

impl Request {
    pub(crate) fn new(parts: Parts, body: Bytes, source: SocketAddr) -> Self {
        let form = match parts
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
        {
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => pairs(&body),
            _ => Vec::new(),
        };
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: parts.headers,
            form,
            body,
            source,
            instance: false,
        }
    }

    /// The first value of a header, trimmed.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The pairs of the query, in the order of the wire.
    pub(crate) fn query(&self) -> &[Pair] {
        &self.query
    }

    /// The names of all parameters, of query and form.
    pub(crate) fn parameter_names(&self) -> impl Iterator<Item = &[u8]> {
        self.query
            .iter()
            .chain(&self.form)
            .map(|(name, _)| name.as_slice())
    }

    /// A parameter from the query, else from the form. An empty one counts as absent, as in the cloud.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.query.iter().chain(&self.form);
        let (_, value) = all.find(|(key, _)| key == name.as_bytes())?;
        std::str::from_utf8(value)
            .ok()
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.parameter(name).ok_or_else(|| Refusal::missing(name))
    }

    /// The host that was asked, with its port; empty if it is not one.
    pub(crate) fn host(&self) -> &str {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let host = self.header("host").unwrap_or_default();
        if host.len() <= 128 && host.bytes().all(good) {
            host
        } else {
            ""
        }
    }

    /// The region that the host names, as `kms-vpc.cn-hangzhou.aliyuncs.com` does.
    pub(crate) fn host_region(&self) -> Option<&str> {
        let host = self.host().split(':').next()?;
        let (_, region) = host.strip_suffix(".aliyuncs.com")?.split_once('.')?;
        (!region.contains('.')).then_some(region)
    }

    /// The names that the request asks for, as far as they are names at all: they go into the ledger, which
    /// must not hold whatever else a client may send.
    pub(crate) fn asked_names(&self) -> Vec<String> {
        let one = ["Name", "SecretName", "Path"];
        let one = one.iter().find_map(|name| self.parameter(name));
        let mut names: Vec<String> = match (one, self.parameter("Names")) {
            (Some(name), _) => vec![name.to_owned()],
            (None, Some(list)) => serde_json::from_str(list).unwrap_or_default(),
            (None, None) => self.asked_secrets(),
        };
        names.retain(|name| {
            is_name(name) || secret::is_name(name) || secret::split_arn(name).is_some()
        });
        names.truncate(32);
        names
    }

    fn asked_secrets(&self) -> Vec<String> {
        let list = self.parameter("SecretsList").unwrap_or_default();
        let list: Vec<Value> = serde_json::from_str(list).unwrap_or_default();
        let names = list.iter().filter_map(|entry| entry["SecretName"].as_str());
        names.map(str::to_owned).collect()
    }
}

fn pairs(text: &[u8]) -> Vec<Pair> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default();
            (decode(name), decode(halves.next().unwrap_or_default()))
        })
        .collect()
}

/// Form decoding: `+` is a space (the vendor's Python SDK writes it in queries too), `%XX` a byte; a `%`
/// that starts no byte stands for itself.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let mut byte = [0];
        let escaped = *first == b'%'
            && tail.len() >= 2
            && hex::decode_to_slice(&tail[..2], &mut byte).is_ok();
        rest = if escaped { &tail[2..] } else { tail };
        decoded.push(match first {
            _ if escaped => byte[0],
            b'+' => b' ',
            other => *other,
        });
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_like_a_form() {
        let expected = [
            ("a b".into(), "c/d".into()),
            ("e".into(), "".into()),
            ("f".into(), "100%".into()),
        ];
        assert_eq!(pairs(b"a+b=c%2Fd&e=&f=100%"), expected);
    }
}
