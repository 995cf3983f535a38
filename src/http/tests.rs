//! The client against a raw loopback server.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::provider::alibaba::ca::CHAINS;

mod private;

/// Serves one connection: reads the request's head, writes `answer`, and closes.
async fn serve(answer: &'static [u8]) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = vec![0; 4096];
        let length = stream.read(&mut seen).await.unwrap();
        stream.write_all(answer).await.unwrap();
        String::from_utf8_lossy(&seen[..length]).into_owned()
    });
    (url, served)
}

fn client(timeout: Duration) -> HttpClient {
    HttpClient::new(HttpOptions {
        allow_insecure: true,
        timeout,
    })
    .unwrap()
}

async fn post(url: &str) -> Result<Response, CallError> {
    let headers = [("x-acs-security-token", "canary-token")];
    let post = Post::new(url, &headers, Zeroizing::new(b"canary-body".to_vec()));
    client(CALL_TIMEOUT).post(post.unwrap()).await
}

async fn failure(answer: &'static [u8]) -> (Class, String) {
    let (url, _served) = serve(answer).await;
    let error = post(&url).await.map(|r| r.status).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("canary") && !shown.contains("127.0.0.1"),
        "{shown}"
    );
    (error.class, error.code().to_owned())
}

#[tokio::test]
async fn nothing_is_sent_by_who_does_not_lead() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let nobody = Leadership::new(Arc::new(crate::clock::SystemClock));
    let client = client(CALL_TIMEOUT).led_by(nobody.clone());
    let post = || Post::new(&url, &[], Zeroizing::default()).unwrap();
    let authority = Authority::from_pem(CHAINS[0].pem).unwrap();
    let private = client.trusting(&authority).unwrap();
    let direct = DirectClient::new().unwrap().led_by(nobody);
    let answers = [
        client.post(post()).await,
        private.post(post()).await,
        direct.get(&url, None).await,
        direct.put(&url, None).await,
    ];
    for answer in answers {
        let error = answer.err().unwrap();
        assert_eq!(
            (error.class, error.code()),
            (Class::Unavailable, "NotLeading")
        );
    }
    let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept());
    assert!(connected.await.is_err());
}

#[tokio::test]
async fn an_answer_arrives_whole_whatever_its_status() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nx-a: b\r\ncontent-length: 5\r\n\r\nhello";
    let (url, served) = serve(answer).await;
    let response = post(&url).await.unwrap();
    assert_eq!(response.status, 403);
    assert_eq!(response.header("x-a"), Some("b"));
    assert_eq!(response.body.as_slice(), b"hello");
    let request = served.await.unwrap();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    let agent = format!("user-agent: {USER_AGENT}\r\n");
    assert!(request.contains(&agent), "{request}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let answer =
        b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/canary\r\ncontent-length: 0\r\n\r\n";
    let expected = (Class::Protocol, "Redirect".to_owned());
    assert_eq!(failure(answer).await, expected);
}

#[tokio::test]
async fn broken_transports_are_unavailable() {
    let table: [(&[u8], &str); 3] = [
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncanary",
            "TruncatedBody",
        ),
        (b"", "ConnectionBroken"),
        (b"canary\r\n\r\n", "ConnectionBroken"),
    ];
    for (answer, code) in table {
        assert_eq!(failure(answer).await, (Class::Unavailable, code.to_owned()));
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4194305\r\n\r\ncanary";
    let expected = (Class::Protocol, "BodyTooLarge".to_owned());
    assert_eq!(failure(answer).await, expected);
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let post = Post::new(&url, &[], Zeroizing::default()).unwrap();
    let answer = client(Duration::from_millis(200)).post(post).await;
    let error = answer.map(|r| r.status).unwrap_err();
    assert_eq!(error.to_string(), "Timeout");
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_no_such_name() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let error = post(&url).await.map(|r| r.status).unwrap_err();
    assert_eq!(error.to_string(), "ConnectionFailed");
    let error = post("http://canary.invalid/").await.map(|r| r.status);
    assert_eq!(error.unwrap_err().to_string(), "NameNotResolved");
}

#[tokio::test]
async fn plain_http_is_refused_unless_allowed() {
    let strict = HttpClient::new(HttpOptions::default()).unwrap();
    let post = Post::new("http://127.0.0.1:1/", &[], Zeroizing::default()).unwrap();
    let error = strict.post(post).await.map(|r| r.status).unwrap_err();
    assert_eq!(error.class, Class::Invalid);
}

#[test]
fn a_credential_with_a_line_break_is_not_sent() {
    let headers = [("authorization", "canary\r\nx: y")];
    let error = Post::new("https://h/", &headers, Zeroizing::default()).unwrap_err();
    assert_eq!(error.class, Class::Invalid);
    assert!(!format!("{error:?}").contains("canary"));
}

#[test]
fn a_post_shows_neither_url_nor_headers_nor_body() {
    let headers = [("x-acs-security-token", "canary-token")];
    let post = Post::new("https://h/?canary", &headers, Zeroizing::new(vec![7; 3])).unwrap();
    assert_eq!(format!("{post:?}"), "Post(3 bytes)");
}

#[test]
fn a_name_that_resolves_to_metadata_is_refused() {
    let at = |ip: &str| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0);
    for refused in ["169.254.169.254", "fe80::1", "100.100.100.200"] {
        let error = guarded(vec![at("10.0.0.1"), at(refused)]).unwrap_err();
        assert!(error.is::<RefusedAddress>(), "{refused}");
    }
    assert!(guarded(vec![at("10.0.0.1"), at("100.100.0.1")]).is_ok());
    assert!(guarded(Vec::new()).unwrap_err().is::<Unresolved>());
}

#[tokio::test]
async fn a_name_that_resolves_to_metadata_is_never_connected_to() {
    let to_metadata: Lookup = |_| {
        let address = SocketAddr::new(IpAddr::from([169, 254, 169, 254]), 0);
        async move { Ok(vec![address]) }.boxed()
    };
    let client = HttpClient::with_lookup(HttpOptions::default(), to_metadata).unwrap();
    let post = Post::new("https://canary.example/", &[], Zeroizing::default()).unwrap();
    let error = client.post(post).await.map(|r| r.status).unwrap_err();
    assert_eq!(error.to_string(), "RefusedAddress");
    assert_eq!(error.class, Class::Protocol);
}

#[tokio::test]
async fn a_broken_handshake_is_told_apart() {
    let (url, _served) = serve(b"HTTP/1.1 400 canary\r\n\r\n").await;
    let url = url.replace("http://", "https://");
    let error = post(&url).await.map(|r| r.status).unwrap_err();
    assert_eq!(error.to_string(), "TlsFailed");
}

#[test]
fn growing_buffers_keep_their_bytes() {
    let mut body = Zeroizing::new(Vec::new());
    for byte in 0..200u8 {
        append(&mut body, &[byte; 3]);
    }
    let expected: Vec<u8> = (0..200u8).flat_map(|byte| [byte; 3]).collect();
    assert_eq!(*body, expected);
}
