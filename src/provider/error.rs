//! Error classes: one closed set that answers every caller's questions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What kind of failure a call met. The class alone decides retry, requeue, condition reason and
/// metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The thing asked for is not there. User action: create it or correct the key.
    NotFound,
    /// The cloud does not know us. User action: correct the identity.
    Unauthenticated,
    /// The cloud knows us and refuses. User action: grant the permission.
    Denied,
    /// Too many calls. No user action: it passes.
    Throttled,
    /// The cloud did not answer, or not in time. No user action: it passes.
    Unavailable,
    /// The request can never succeed as it stands. User action: correct the reference.
    Invalid,
    /// The answer made no sense. User action: report it, with the request id.
    Protocol,
}

/// A failed call or a failed key of a batch.
///
/// It holds the cloud's code and request id, where they look like such, and never text that the
/// cloud wrote freely: a body may echo a credential or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The class, from the provider's code table.
    pub class: Class,
    code: String,
    detail: Option<Detail>,
    request_id: Option<String>,
    /// How long the cloud asks us to wait.
    pub retry_after: Option<Duration>,
    /// The failure is that of what was asked for: whoever was asked answers.
    pub of_the_key: bool,
}

/// What else may be said about a failure: a closed set that only our own code fills, so that no
/// text of a cloud or a body can get into a message, and of a tenant's no more than a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A fixed sentence of ours.
    Fixed(&'static str),
    /// A fixed sentence of ours that ends in what it is about.
    Named(&'static str, Name),
    /// The host that was called, and a fixed sentence of ours that goes on from it, or nothing.
    Host(Name, &'static str),
    /// A file of the operator's own (never one that a tenant named), and what is wrong with it.
    File {
        /// Where the operator's environment says it is.
        path: PathBuf,
        /// What is wrong, such as `is empty`.
        problem: &'static str,
    },
    /// An answer that could not be decoded.
    Undecodable {
        /// The kind of mistake: `syntax`, `data`, `truncated` or `input`.
        category: &'static str,
        /// The line of the mistake, from 1.
        line: usize,
        /// The column of the mistake.
        column: usize,
    },
}

/// The name of something that a store or a `ServiceAccount` says we use, such as a role or a host. It has only
/// characters that such names have, and cannot be a text of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// The longest name: `NAMESPACE/NAME` of a Kubernetes object has at most 317 characters.
const LONGEST_NAME: usize = 320;
/// The longest code; those of the clouds have up to 60 characters.
const LONGEST_CODE: usize = 80;
/// The longest request id; those of the clouds have 36.
const LONGEST_REQUEST_ID: usize = 64;

// === impl Class ===

impl Class {
    /// Every class, for tables and metrics.
    pub const ALL: [Self; 7] = [
        Self::NotFound,
        Self::Unauthenticated,
        Self::Denied,
        Self::Throttled,
        Self::Unavailable,
        Self::Invalid,
        Self::Protocol,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::Unauthenticated => "Unauthenticated",
            Self::Denied => "Denied",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::Invalid => "Invalid",
            Self::Protocol => "Protocol",
        }
    }
}

// === impl CallError ===

impl CallError {
    /// An error with the cloud's (or our own) code. It ends before the first character outside
    /// `[A-Za-z0-9._-]`; what is longer than any cloud's code is none, and becomes `NoCode`.
    pub fn new(class: Class, code: &str) -> Self {
        Self {
            class,
            code: word(code, LONGEST_CODE).unwrap_or("NoCode").to_owned(),
            detail: None,
            request_id: None,
            retry_after: None,
            of_the_key: false,
        }
    }

    /// An error about a file of the operator's own.
    pub fn about_file(class: Class, code: &str, path: &Path, problem: &'static str) -> Self {
        Self::new(class, code).with_detail(Detail::File {
            path: path.to_owned(),
            problem,
        })
    }

    /// Adds what else is to be said.
    #[must_use]
    pub fn with_detail(mut self, detail: Detail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same of another class, where what was asked tells more than the code.
    #[must_use]
    pub fn into_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// Says whether the failure is that of what was asked for, so that it tells nothing of the endpoint.
    #[must_use]
    pub fn with_of_the_key(self, of_the_key: bool) -> Self {
        Self { of_the_key, ..self }
    }

    /// Adds the cloud's request id, by the same rule.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<&str>) -> Self {
        self.request_id = request_id
            .and_then(|id| word(id, LONGEST_REQUEST_ID))
            .map(ToOwned::to_owned);
        self
    }

    /// Adds the cloud's hint how long to wait.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The cloud's code, or ours for failures without one.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What else there is to say.
    pub fn detail(&self) -> Option<&Detail> {
        self.detail.as_ref()
    }

    /// The cloud's request id.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CallError {}

// === impl Name ===

impl Name {
    /// `text`, with `?` for every character that is in no name of a role or object, and cut.
    pub fn new(text: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":/._-".contains(c);
        let shown = text.chars().take(LONGEST_NAME);
        Self(shown.map(|c| if allowed(c) { c } else { '?' }).collect())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Detail ===

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(text) => f.write_str(text),
            Self::Named(text, name) => write!(f, "{text} {name}"),
            Self::Host(host, text) => write!(f, "{host}{text}"),
            Self::File { path, problem } => write!(f, "file {} {problem}", path.display()),
            Self::Undecodable {
                category,
                line,
                column,
            } => write!(f, "{category} error at line {line} column {column}"),
        }
    }
}

/// The word that `text` begins with. What follows it is free text, which may quote anything, and
/// a word too long to be a name may be a token.
fn word(text: &str, most: usize) -> Option<&str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let end = text.find(|c| !allowed(c)).unwrap_or(text.len());
    (1..=most).contains(&end).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_ends_where_free_text_begins() {
        let error = CallError::new(Class::Denied, "NoPermission: the token is abc")
            .with_request_id(Some("abc-1 <b>"));
        assert_eq!(error.to_string(), "NoPermission (request abc-1)");
    }

    #[test]
    fn what_is_too_long_to_be_a_name_is_not_shown() {
        let token = "eyJhbGciOiJSUzI1NiJ9.".repeat(5);
        let error = CallError::new(Class::Denied, &token).with_request_id(Some(&token));
        assert_eq!(error.to_string(), "NoCode");
        assert_eq!(CallError::new(Class::Denied, "").to_string(), "NoCode");
    }

    #[test]
    fn a_name_is_one_line_and_no_longer_than_names_are() {
        let shown = |name: &str| {
            let detail = Detail::Named("there is no role", Name::new(name));
            CallError::new(Class::Unauthenticated, "X")
                .with_detail(detail)
                .to_string()
        };
        let role = "acs:ram::1:role/shop-1_a.b";
        assert_eq!(shown(role), format!("X: there is no role {role}"));
        assert_eq!(shown("a b\n\u{7f}é"), "X: there is no role a?b???");
        assert_eq!(
            shown(&"a".repeat(1_000)).len(),
            320 + "X: there is no role ".len()
        );
    }

    #[test]
    fn a_detail_stands_between_code_and_request() {
        let path = Path::new("/var/run/token");
        let error = CallError::about_file(Class::Unauthenticated, "TokenFile", path, "is empty")
            .with_request_id(Some("r1"));
        let text = "TokenFile: file /var/run/token is empty (request r1)";
        assert_eq!(error.to_string(), text);
    }
}
