//! Faults do what they say, to the calls they are for, as often as they say.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use cloudsim::{Effect, Fault, Filter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

/// Sends a signed read over a bare socket and returns all bytes that come, and how the connection ended.
async fn bare(client: &Client) -> (Vec<u8>, std::io::Result<usize>) {
    let request = client.sign(&Draft::get("/shop/a")).build().unwrap();
    let address = client.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut text = format!(
        "POST /?{} HTTP/1.1\r\nhost: {address}\r\n",
        request.url().query().unwrap()
    );
    for (name, value) in request.headers() {
        write!(text, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    stream
        .write_all(format!("{text}content-length: 0\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    (bytes, end)
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_says() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::error(503, "ServiceUnavailable").times(2));
    for _ in 0..2 {
        assert_eq!(
            client.get("/shop/a").await.refusal(),
            (503, "ServiceUnavailable")
        );
    }
    assert_eq!(client.get("/shop/a").await.status, 200);
    assert!(simulator.faults().is_empty());
}

#[tokio::test]
async fn a_fault_without_a_count_strikes_until_it_is_cleared() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let id = simulator.add_fault(Fault::error(500, "InternalError"));
    for _ in 0..3 {
        assert_eq!(client.get("/shop/a").await.status, 500);
    }
    assert_eq!(simulator.faults()[0].hits, 3);
    assert!(simulator.clear_fault(id) && !simulator.clear_fault(id));
    assert_eq!(client.get("/shop/a").await.status, 200);
}

#[tokio::test]
async fn a_fault_strikes_only_what_it_is_for() {
    let simulator = simulator().await;
    let (user, root) = (Client::new(&simulator, USER), Client::new(&simulator, ROOT));
    let only = |fault: Fault| {
        simulator.clear_faults();
        simulator.add_fault(fault);
    };
    only(Fault::error(500, "X").service("sts"));
    assert_eq!(
        (
            user.get("/shop/a").await.status,
            user.identity().await.status.as_u16()
        ),
        (200.try_into().unwrap(), 500)
    );
    only(Fault::error(500, "X").action("GetSecretParameters"));
    assert_eq!(user.get("/shop/a").await.status, 200);
    assert_eq!(user.get_all(&["/shop/a"]).await.status, 500);
    only(Fault::error(500, "X").name("/shop/b"));
    assert_eq!(user.get_all(&["/shop/a"]).await.status, 200);
    assert_eq!(user.get_all(&["/shop/a", "/shop/b"]).await.status, 500);
    for principal in ["user", "acs:ram::1000000000000001:user/user"] {
        only(Fault::error(500, "X").principal(principal));
        assert_eq!(root.get("/shop/a").await.status, 200);
        assert_eq!(user.get("/shop/a").await.status, 500);
    }
    only(Fault::error(500, "X").principal("reader").service("sts"));
    assert_eq!(assume(&simulator, &exchange("any")).await.status, 500);
}

#[tokio::test]
async fn throttling_says_how_long_to_wait_in_milliseconds() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::throttle(2500));
    let reply = Client::new(&simulator, USER).get("/shop/a").await;
    assert_eq!(reply.refusal(), (400, "Throttling.User"));
    assert_eq!(reply.headers["x-acs-retry-after"], "2500");
}

#[tokio::test]
async fn a_delay_lets_the_true_answer_through_late() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::new(Effect::Delay { millis: 120 }));
    let start = Instant::now();
    let reply = Client::new(&simulator, USER).get("/shop/a").await;
    assert!(start.elapsed() >= Duration::from_millis(120));
    assert_eq!(reply.body["Parameter"]["Value"], "canary-a2");
}

#[tokio::test]
async fn a_hang_never_answers_and_is_in_the_ledger_at_once() {
    let simulator = simulator().await;
    simulator.add_fault(Fault::new(Effect::Hang));
    let request = Client::new(&simulator, USER).sign(&Draft::get("/shop/a"));
    let error = request
        .timeout(Duration::from_millis(200))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(
        simulator
            .ledger()
            .calls(&Filter::default().outcome("Fault.hang")),
        1
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_not() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::new(Effect::Reset).times(1));
    let (bytes, end) = bare(&client).await;
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    simulator.add_fault(Fault::new(Effect::Close).times(1));
    let (bytes, end) = bare(&client).await;
    assert!(bytes.is_empty());
    assert_eq!(end.unwrap(), 0);
}

#[tokio::test]
async fn a_truncated_answer_says_more_than_it_sends() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::new(Effect::Truncate));
    let (bytes, end) = bare(&client).await;
    end.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    assert_eq!(length.parse::<usize>().unwrap() / 2, body.len());
    assert!(
        client
            .sign(&Draft::get("/shop/a"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_answer_can_be_html_or_no_json_at_all() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    for status in [200, 502] {
        simulator.add_fault(Fault::new(Effect::Html { status }).times(1));
        let response = client.sign(&Draft::get("/shop/a")).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["content-type"], "text/html");
        assert!(
            response
                .text()
                .await
                .unwrap()
                .starts_with("<!DOCTYPE html>")
        );
    }
    simulator.add_fault(Fault::new(Effect::MalformedJson));
    let response = client.sign(&Draft::get("/shop/a")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    assert!(text.contains("canary-a2"));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
}

#[tokio::test]
async fn a_value_can_be_empty_or_absent_for_one_name_of_a_batch() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(
        Fault::new(Effect::EmptyValue { absent: false })
            .name("/shop/b")
            .times(2),
    );
    let reply = client.get_all(&["/shop/a", "/shop/b"]).await;
    assert_eq!(reply.body["Parameters"][0]["Value"], "canary-a2");
    assert_eq!(reply.body["Parameters"][1]["Value"], "");
    assert_eq!(client.get("/shop/b").await.body["Parameter"]["Value"], "");
    simulator.add_fault(Fault::new(Effect::EmptyValue { absent: true }).name("/shop/b"));
    let reply = client.get_all(&["/shop/a", "/shop/b"]).await;
    assert!(reply.body["Parameters"][0].get("Value").is_some());
    assert!(reply.body["Parameters"][1].get("Value").is_none());
}

#[tokio::test]
async fn an_entry_can_be_missing_without_a_word() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::new(Effect::MissingEntry).name("/shop/b"));
    let reply = client.get_all(&["/shop/a", "/shop/b"]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["Parameters"].as_array().unwrap().len(), 1);
    assert_eq!(reply.body["InvalidParameters"].as_array().unwrap().len(), 0);
    assert!(client.get("/shop/b").await.body.get("Parameter").is_none());
}

#[tokio::test]
async fn an_answer_can_be_a_redirect() {
    let simulator = simulator().await;
    let location = "http://198.51.100.1/".to_owned();
    simulator.add_fault(Fault::new(Effect::Redirect {
        location: location.clone(),
    }));
    let response = Client::new(&simulator, USER)
        .sign(&Draft::get("/shop/a"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.headers()["location"], location);
}

#[tokio::test]
async fn a_struck_call_uses_up_its_nonce() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    simulator.add_fault(Fault::error(503, "ServiceUnavailable").times(1));
    let draft = Draft::get("/shop/a");
    assert_eq!(client.send(&draft).await.status, 503);
    assert_eq!(
        client.send(&draft).await.refusal(),
        (400, "SignatureNonceUsed")
    );
}
