//! OOS reads and their permissions.

use serde_json::{Value, json};

use crate::support::*;

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["Name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn one_parameter_is_read_with_its_current_or_a_given_version() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let current = client.get("/shop/a").await.body["Parameter"].clone();
    assert_eq!(current["Value"], "canary-a2");
    assert_eq!(current["ParameterVersion"], 2);
    assert_eq!(current["Type"], "Secret");
    let first = client
        .send(&Draft::get("/shop/a").with("ParameterVersion", "1"))
        .await;
    assert_eq!(first.body["Parameter"]["Value"], "canary-a1");
    let absent = client
        .send(&Draft::get("/shop/a").with("ParameterVersion", "3"))
        .await;
    assert_eq!(absent.refusal(), (404, "EntityNotExists.Parameter"));
    for bad in ["0", "201", "one", "1.0"] {
        let reply = client
            .send(&Draft::get("/shop/a").with("ParameterVersion", bad))
            .await;
        assert_eq!(reply.refusal(), (400, "InvalidParameter"));
    }
}

#[tokio::test]
async fn a_value_comes_only_with_decryption() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let plain = Draft::new(OOS, "GetSecretParameter").with("Name", "/shop/a");
    for (draft, has_value) in [
        (plain.clone(), false),
        (
            Draft {
                nonce: "n1".into(),
                ..plain.clone()
            }
            .with("WithDecryption", "false"),
            false,
        ),
        (
            Draft {
                nonce: "n2".into(),
                ..plain.clone()
            }
            .with("WithDecryption", "True"),
            true,
        ),
    ] {
        let reply = client.send(&draft).await;
        assert_eq!(reply.body["Parameter"].get("Value").is_some(), has_value);
    }
    let odd = Draft {
        nonce: "n3".into(),
        ..plain
    }
    .with("WithDecryption", "yes");
    assert_eq!(client.send(&odd).await.refusal(), (400, "InvalidParameter"));
}

#[tokio::test]
async fn a_missing_parameter_is_not_found() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    assert_eq!(
        client.get("/shop/none").await.refusal(),
        (404, "EntityNotExists.Parameter")
    );
    let nameless = client.send(&Draft::new(OOS, "GetSecretParameter")).await;
    assert_eq!(nameless.refusal(), (400, "MissingParameter"));
}

#[tokio::test]
async fn a_batch_names_what_it_misses() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let reply = client.get_all(&["/shop/none", "/shop/b", "/shop/a"]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(names(&reply.body["Parameters"]), ["/shop/a", "/shop/b"]);
    assert_eq!(reply.body["Parameters"][1]["Value"], "canary-b1");
    assert_eq!(reply.body["InvalidParameters"], json!(["/shop/none"]));
}

#[tokio::test]
async fn a_batch_takes_one_to_ten_distinct_names_and_no_version() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let many: Vec<String> = (0..11).map(|number| format!("/shop/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(client.get_all(&many[..10]).await.status, 200);
    for names in [&many[..], &[], &["/shop/a", "/shop/a"]] {
        assert_eq!(
            client.get_all(names).await.refusal(),
            (400, "InvalidParameter")
        );
    }
    let text = Draft::new(OOS, "GetSecretParameters").with("Names", "/shop/a,/shop/b");
    assert_eq!(
        client.send(&text).await.refusal(),
        (400, "InvalidParameter")
    );
    let versioned = Draft::get_all(&["/shop/a"]).with("ParameterVersion", "1");
    assert_eq!(
        client.send(&versioned).await.refusal(),
        (400, "InvalidParameter")
    );
}

#[tokio::test]
async fn one_forbidden_name_refuses_the_whole_batch() {
    let simulator = simulator().await;
    let client = session(&simulator).await;
    let reply = client.get_all(&["/shop/a", "/bank/pin", "/shop/b"]).await;
    assert_eq!(reply.refusal(), (403, "Forbidden.RAM"));
    assert!(reply.body.get("Parameters").is_none());
    assert_eq!(
        reply.body["AccessDeniedDetail"]["AuthAction"],
        "oos:GetSecretParameters"
    );
    assert_eq!(client.get_all(&["/shop/a", "/shop/b"]).await.status, 200);
}

#[tokio::test]
async fn a_forbidden_name_does_not_show_whether_it_exists() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    for name in ["/bank/pin", "/bank/none"] {
        assert_eq!(client.get(name).await.refusal(), (403, "Forbidden.RAM"));
    }
    assert_eq!(
        Client::new(&simulator, ROOT).get("/bank/pin").await.status,
        200
    );
}

#[tokio::test]
async fn a_read_takes_the_permission_of_oos_and_that_of_kms() {
    let simulator = simulator().await;
    let client = session(&simulator).await;
    let role = |actions: &[&str]| -> cloudsim::Role {
        serde_json::from_value(json!({
            "name": "reader",
            "rules": [{ "actions": actions, "resources": ["/shop/a"] }],
        }))
        .unwrap()
    };
    simulator.put_role(role(&["oos:*"])).unwrap();
    let reply = client.get("/shop/a").await;
    assert_eq!(reply.refusal(), (403, "Forbidden.RAM"));
    assert_eq!(
        reply.body["AccessDeniedDetail"]["AuthAction"],
        "kms:GetSecretValue"
    );
    simulator
        .put_role(role(&["kms:GetSecretValue", "oos:GetSecretParameter"]))
        .unwrap();
    assert_eq!(client.get("/shop/a").await.status, 200);
    assert_eq!(
        client.get_all(&["/shop/a"]).await.refusal(),
        (403, "Forbidden.RAM")
    );
}

#[tokio::test]
async fn parameters_are_of_a_region() {
    let simulator = simulator().await;
    simulator
        .put_parameter_in(ACCOUNT, "cn-beijing", "/shop/a", "canary-beijing")
        .unwrap();
    let client = Client::new(&simulator, USER);
    let there = client
        .send(&Draft::get("/shop/a").with("RegionId", "cn-beijing"))
        .await;
    assert_eq!(there.body["Parameter"]["Value"], "canary-beijing");
    assert_eq!(
        client.get("/shop/a").await.body["Parameter"]["Value"],
        "canary-a2"
    );
}

#[tokio::test]
async fn a_parameter_can_be_rotated_and_deleted_while_it_is_read() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    assert_eq!(simulator.put_parameter("/shop/a", "canary-a3").unwrap(), 3);
    assert_eq!(
        client.get("/shop/a").await.body["Parameter"]["Value"],
        "canary-a3"
    );
    simulator.delete_parameter("/shop/a").unwrap();
    assert_eq!(
        client.get("/shop/a").await.refusal(),
        (404, "EntityNotExists.Parameter")
    );
    assert!(simulator.put_parameter("no spaces", "canary").is_err());
}

#[tokio::test]
async fn a_misspelt_parameter_is_refused() {
    let simulator = simulator().await;
    let client = Client::new(&simulator, USER);
    let reply = client
        .send(&Draft::get("/shop/a").with("WithDescription", "true"))
        .await;
    assert_eq!(reply.refusal(), (400, "InvalidParameter"));
}
