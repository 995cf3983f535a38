//! The client for what is beside the operator on its own machine: the metadata service, and a URL
//! that the operator's environment names.
//!
//! It uses no proxy, follows no redirect and waits a second. It may connect to link-local and
//! metadata addresses, so no URL that a tenant wrote may ever get here.

use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Client, Method, Url};

use super::{HttpClientError, Response, USER_AGENT, unsendable, whole};
use crate::lease::Leadership;
use crate::provider::CallError;

/// How long a connection may take to be made, and how long a whole call.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 << 10;

/// A client with one connection pool; cloning shares it.
#[derive(Debug, Clone)]
pub struct DirectClient(Client, Leadership);

// === impl DirectClient ===

impl DirectClient {
    /// A client. The process's TLS provider is set to ring if nobody set one before.
    ///
    /// # Errors
    /// When the system's root certificates cannot be loaded.
    pub fn new() -> Result<Self, HttpClientError> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map(|client| Self(client, Leadership::always()))
            .map_err(HttpClientError)
    }

    /// The same client, which sends only while this process leads.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Self(self.0, leadership)
    }

    /// A GET of `url`.
    ///
    /// # Errors
    /// As those of [`HttpClient::post`](super::HttpClient::post).
    pub async fn get(
        &self,
        url: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Response, CallError> {
        self.send(Method::GET, url, header).await
    }

    /// A PUT of nothing to `url`.
    ///
    /// # Errors
    /// As those of [`HttpClient::post`](super::HttpClient::post).
    pub async fn put(
        &self,
        url: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Response, CallError> {
        self.send(Method::PUT, url, header).await
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Response, CallError> {
        let url = Url::parse(url).map_err(|_| unsendable("the URL is malformed"))?;
        let empty_body = method == Method::PUT;
        let mut request = self.0.request(method, url);
        if let Some((name, value)) = header {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| unsendable("a header value holds control characters"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if empty_body {
            request = request.header("content-length", "0");
        }
        whole(request, LONGEST, &self.1).await
    }
}
