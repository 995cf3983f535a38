//! The one HTTP client all clouds are called with.
//!
//! It never follows a redirect, never reads more than a bounded answer, never puts a URL or a
//! body into an error, and never connects to a link-local or metadata address, also when a name
//! resolves to one. It honours the proxy variables of the environment; through a proxy it is the
//! proxy that resolves names, so there the proxy must guard against such addresses.

mod authority;
mod direct;
mod private;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Url};
use zeroize::Zeroizing;

pub use authority::{Authority, AuthorityError};

use crate::lease::{Leadership, NotLeading};
use crate::provider::endpoint::is_metadata;
use crate::provider::{CallError, Class, Detail};

pub use direct::DirectClient;

/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses: as long as the shortest interval, and not for ever,
/// because after a start there may be as many as batches in flight.
const IDLE: Duration = Duration::from_secs(10);
/// How long a whole call may take, from the connection to the last byte of the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
pub const LONGEST_BODY: usize = 4 << 20;

const USER_AGENT: &str = concat!("external-cloud-secrets/", env!("CARGO_PKG_VERSION"));

/// How the client is to behave.
#[derive(Debug, Clone, Copy)]
pub struct HttpOptions {
    /// Whether plain http is allowed.
    pub allow_insecure: bool,
    /// The longest a whole call may take.
    pub timeout: Duration,
}

/// A client with one connection pool; cloning shares it.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: Client,
    shared: Arc<Shared>,
    /// Tells that the private authority it trusts, if any, is in use.
    authority: Option<Arc<()>>,
    leadership: Leadership,
}

/// The code of a call that was not made, or was cut off, because this process does not lead.
pub const NOT_LEADING: &str = "NotLeading";

/// What a client and those derived from it for private authorities share.
#[derive(Debug)]
struct Shared {
    options: HttpOptions,
    lookup: Lookup,
    /// By the authority's digest, so that equal ones share connections.
    private: Mutex<HashMap<[u8; 32], private::Known>>,
}

/// The client could not be built, usually because there are no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("cannot build the HTTP client: {0}; without root certificates set SSL_CERT_FILE")]
pub struct HttpClientError(reqwest::Error);

/// One POST.
pub struct Post {
    url: Url,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

/// An answer, whole. Its body is wiped when it is dropped.
pub struct Response {
    /// The HTTP status; never 3xx.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`LONGEST_BODY`].
    pub body: Zeroizing<Vec<u8>>,
}

/// Resolves names and refuses those with addresses that must not be called.
struct GuardedResolver(Lookup);

/// How a name is looked up.
type Lookup = fn(Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

/// A name resolved to nothing but refused addresses.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a link-local or metadata address")]
struct RefusedAddress;

/// A name did not resolve.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
struct Unresolved;

// === impl HttpOptions ===

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allow_insecure: false,
            timeout: CALL_TIMEOUT,
        }
    }
}

// === impl HttpClient ===

impl HttpClient {
    /// A client. The process's TLS provider is set to ring if nobody set one before.
    ///
    /// # Errors
    /// When the system's root certificates cannot be loaded.
    pub fn new(options: HttpOptions) -> Result<Self, HttpClientError> {
        Self::with_lookup(options, by_system)
    }

    fn with_lookup(options: HttpOptions, lookup: Lookup) -> Result<Self, HttpClientError> {
        // An error only says that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Shared {
            options,
            lookup,
            private: Mutex::default(),
        };
        let client = shared.builder().build().map_err(HttpClientError)?;
        Ok(Self {
            client,
            shared: Arc::new(shared),
            authority: None,
            leadership: Leadership::always(),
        })
    }

    /// The same client, which sends only while this process leads.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Self { leadership, ..self }
    }

    /// Whether it trusts a private authority and nothing else.
    pub fn is_private(&self) -> bool {
        self.authority.is_some()
    }

    /// Sends `post` and reads the whole answer, whatever its status, except a redirect.
    ///
    /// # Errors
    /// - [`Class::Unavailable`] with code `Timeout`, `NameNotResolved`, `TlsFailed`,
    ///   `ConnectionFailed`, `ConnectionBroken`, `TruncatedBody` or `NotLeading`.
    /// - [`Class::Protocol`] with code `Redirect`, `BodyTooLarge` or `RefusedAddress`.
    pub async fn post(&self, post: Post) -> Result<Response, CallError> {
        let request = self
            .client
            .post(post.url)
            .headers(post.headers)
            .body(Bytes::from_owner(post.body));
        whole(request, LONGEST_BODY, &self.leadership).await
    }
}

/// Sends `request` and reads the whole answer, of at most `longest` bytes, as long as this process
/// leads.
async fn whole(
    request: reqwest::RequestBuilder,
    longest: usize,
    leadership: &Leadership,
) -> Result<Response, CallError> {
    let answer = leadership.while_leading(exchange(request, longest));
    let deposed = |NotLeading| Err(CallError::new(Class::Unavailable, NOT_LEADING));
    answer.await.unwrap_or_else(deposed)
}

async fn exchange(request: reqwest::RequestBuilder, longest: usize) -> Result<Response, CallError> {
    let mut answer = request.send().await.map_err(|e| call_error(&e))?;
    if answer.status().is_redirection() {
        let detail = Detail::Fixed("the endpoint redirects, and redirects are not followed");
        return Err(CallError::new(Class::Protocol, "Redirect").with_detail(detail));
    }
    let expected = answer.content_length().unwrap_or(0);
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if expected > longest {
        return Err(too_large());
    }
    let mut body = Zeroizing::new(Vec::with_capacity(expected.max(4096)));
    while let Some(chunk) = answer.chunk().await.map_err(|e| call_error(&e))? {
        if body.len() + chunk.len() > longest {
            return Err(too_large());
        }
        append(&mut body, &chunk);
    }
    Ok(Response {
        status: answer.status().as_u16(),
        headers: answer.headers().clone(),
        body,
    })
}

// === impl Shared ===

impl Shared {
    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .https_only(!self.options.allow_insecure)
            .connect_timeout(CONNECT_TIMEOUT.min(self.options.timeout))
            .pool_idle_timeout(IDLE)
            .timeout(self.options.timeout)
            .dns_resolver(GuardedResolver(self.lookup))
    }
}

// === impl Post ===

impl Post {
    /// A POST to `url` with `headers` and `body`.
    ///
    /// # Errors
    /// [`Class::Invalid`] when the URL or a header value cannot be sent, such as a credential
    /// with a line break in it.
    pub fn new(
        url: &str,
        headers: &[(&'static str, &str)],
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Self, CallError> {
        let url = Url::parse(url).map_err(|_| unsendable("the URL is malformed"))?;
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let mut value = HeaderValue::from_str(value)
                    .map_err(|_| unsendable("a header value holds control characters"))?;
                value.set_sensitive(true);
                Ok((HeaderName::from_static(name), value))
            })
            .collect::<Result<_, CallError>>()?;
        Ok(Self { url, headers, body })
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Post({} bytes)", self.body.len())
    }
}

// === impl Response ===

impl Response {
    /// The value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

// === impl GuardedResolver ===

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.0)(name);
        Box::pin(async move {
            let allowed = guarded(found.await.map_err(|_| Unresolved)?)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn by_system(name: Name) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    async move {
        let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
        Ok(found.collect())
    }
    .boxed()
}

fn guarded(addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    // One refused address among good ones is as suspicious as being alone.
    if addresses.iter().any(|address| is_metadata(address.ip())) {
        return Err(RefusedAddress.into());
    }
    if addresses.is_empty() {
        return Err(Unresolved.into());
    }
    Ok(addresses)
}

/// Appends without leaving a copy behind when the buffer has to move.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

fn too_large() -> CallError {
    let detail = Detail::Fixed("the answer is longer than any that is expected");
    CallError::new(Class::Protocol, "BodyTooLarge").with_detail(detail)
}

fn unsendable(problem: &'static str) -> CallError {
    CallError::new(Class::Invalid, "Unsendable").with_detail(Detail::Fixed(problem))
}

/// What `error` means, without a word of its text: that may hold the URL.
fn call_error(error: &reqwest::Error) -> CallError {
    let (class, code) = if causes(error).any(is_cause::<RefusedAddress>) {
        (Class::Protocol, "RefusedAddress")
    } else if error.is_timeout() {
        (Class::Unavailable, "Timeout")
    } else if error.is_builder() {
        (Class::Invalid, "Unsendable")
    } else if error.is_connect() {
        (Class::Unavailable, connect_code(error))
    } else if error.is_body() || error.is_decode() {
        (Class::Unavailable, "TruncatedBody")
    } else {
        (Class::Unavailable, "ConnectionBroken")
    };
    CallError::new(class, code)
}

fn connect_code(error: &reqwest::Error) -> &'static str {
    for cause in causes(error) {
        if is_cause::<Unresolved>(cause) {
            return "NameNotResolved";
        }
        if is_cause::<rustls::Error>(cause) {
            return "TlsFailed";
        }
    }
    "ConnectionFailed"
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// Whether `cause` is a `T`, also inside I/O errors, whose `source` skips what they wrap.
fn is_cause<T: Error + 'static>(cause: &(dyn Error + 'static)) -> bool {
    let wrapped = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref);
    cause.is::<T>() || wrapped.is_some_and(|inner| is_cause::<T>(inner))
}

#[cfg(test)]
mod tests;
