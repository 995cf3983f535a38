//! What a store's provider decides about its identity: the cloud, and the cloud's token service.

use super::*;

#[tokio::test]
async fn an_identity_of_another_cloud_is_refused_by_its_field() {
    let on_oos = json!({ "oos": { "region": "cn-hangzhou" } });
    let on_ssm = json!({ "ssm": { "region": "ap-guangzhou" } });
    let (ram, cam) = ("acs:ram::1:role/shop", "qcs::cam::uin/1:roleName/shop");
    let token = |role: &str| json!({ "webIdentity": { "roleArn": role, "providerId": "cls-1" } });
    let hop = |role: &str| json!({ "operator": {}, "assumeRole": { "roleArn": role } });
    let both = json!({ "rrsa": { "roleArn": ram }, "webIdentity": { "roleArn": cam } });
    for (provider, auth, field, part) in [
        (
            &on_ssm,
            rrsa(json!({ "name": "a" })),
            "spec.auth.rrsa",
            "webIdentity",
        ),
        (&on_oos, token(cam), "spec.auth.webIdentity", "takes rrsa"),
        (&on_ssm, both, "spec.auth.rrsa", "spec.provider.ssm"),
        (
            &on_ssm,
            token(ram),
            "spec.auth.webIdentity.roleArn",
            "qcs::cam::uin/",
        ),
        (
            &on_ssm,
            hop(ram),
            "spec.auth.assumeRole.roleArn",
            "Tencent Cloud",
        ),
        (
            &on_oos,
            hop(cam),
            "spec.auth.assumeRole.roleArn",
            "acs:ram::",
        ),
    ] {
        let store = store_of(StoreKind::ClusterCloudSecretStore, provider, &auth);
        let (error, looked_at) = judge(&resolver(true), &store).await;
        assert!(
            matches!(&error, StoreError::Invalid { field: f, problem } if f == field && problem.contains(part)),
            "{auth}: {error}"
        );
        assert_eq!(looked_at, BTreeSet::new(), "{auth}");
    }
}

#[tokio::test]
async fn the_role_of_a_node_is_another_identity_on_each_cloud() {
    let mut resolver = resolver(false);
    resolver.rules.instance_role = true;
    let mut ids = BTreeSet::new();
    for provider in [
        json!({ "oos": { "region": "cn-hangzhou" } }),
        json!({ "ssm": { "region": "ap-guangzhou" } }),
    ] {
        for auth in [json!({ "instanceRole": {} }), json!({ "operator": {} })] {
            let store = store_of(StoreKind::ClusterCloudSecretStore, &provider, &auth);
            let found = origin(&resolver, &store).await.unwrap().unwrap();
            assert_eq!(found.identity.kind(), "instanceRole");
            ids.insert(found.identity.id());
        }
    }
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn the_token_service_follows_site_and_network_and_never_the_providers_endpoint() {
    let resolver = resolver(true);
    let elsewhere = json!("https://ssm.ap-guangzhou.tencentcloudapi.com");
    for (region, site, network, host) in [
        ("ap-guangzhou", "China", "Public", "sts.tencentcloudapi.com"),
        (
            "ap-guangzhou",
            "China",
            "Vpc",
            "sts.internal.tencentcloudapi.com",
        ),
        (
            "ap-singapore",
            "International",
            "Public",
            "sts.intl.tencentcloudapi.com",
        ),
        (
            "ap-singapore",
            "International",
            "Vpc",
            "sts.internal.tencentcloudapi.com",
        ),
        (
            "ap-shanghai-fsi",
            "China",
            "Public",
            "sts.ap-shanghai-fsi.tencentcloudapi.com",
        ),
    ] {
        let mut ssm = json!({ "region": region, "site": site, "network": network });
        for endpoint in [None, Some(&elsewhere)] {
            if let Some(endpoint) = endpoint {
                ssm["endpoint"] = endpoint.clone();
            }
            let mut auth = json!({ "operator": {} });
            let sts = |auth: &Value| {
                let store = store_of(
                    StoreKind::ClusterCloudSecretStore,
                    &json!({ "ssm": &ssm }),
                    auth,
                );
                let place = registry::place(store.provider()).unwrap();
                resolver.sts(&store, &place).unwrap()
            };
            let found = sts(&auth);
            assert_eq!(
                (found.endpoint.host(), found.region.as_deref()),
                (host, Some(region))
            );
            auth["stsEndpoint"] = "https://sts.ap-beijing.tencentcloudapi.com".into();
            let host = "sts.ap-beijing.tencentcloudapi.com";
            assert_eq!(sts(&auth).endpoint.host(), host, "the store says where");
        }
    }
}
