//! docs/install.md with Helm, from the first installation to the last trace.

use super::newcomer::{HOME, Newcomer};
use super::pages::Page;
use super::registry::Registry;

const SECRET: &str = "db-credentials";

/// The operator runs until it has looked at everything, and the Secret stays as it is.
async fn runs(newcomer: &Newcomer, log: &str) {
    let before = newcomer.version("shop", "secret", SECRET).await;
    let operator = newcomer.operator(log).await;
    operator
        .wait_leading(std::time::Duration::from_secs(40))
        .await;
    let annotate =
        format!("kubectl -n shop annotate xcs db --overwrite cloudsecrets.dev/refresh={log}");
    newcomer.types(&annotate).await;
    let handled = format!(
        "kubectl -n shop wait xcs/db --for=jsonpath='{{.status.lastHandledRefresh}}'={log} --timeout=60s"
    );
    newcomer.types(&handled).await;
    operator.stop();
    assert_eq!(newcomer.version("shop", "secret", SECRET).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_comes_and_goes_as_the_page_says() {
    let newcomer = Newcomer::new().await;
    let page = Page::read("docs/install.md");
    let [install, by_registry] = page.all_commands("With Helm");
    let [values] = page.values()[..] else {
        panic!("{:?}", page.values())
    };
    newcomer.writes("values.yaml", values);
    newcomer.types("kubectl create namespace shop").await;
    newcomer.types(install).await;
    let operator = newcomer.operator("first").await;
    // The release's own Role for tokens is enough.
    let manifests =
        Page::read("README.md").manifests_below(|heading| heading == "A first Secret on ACK");
    let no_role = |kind: &str| !kind.starts_with("Role");
    let manifests = manifests
        .into_iter()
        .filter(|object| no_role(object["kind"].as_str().unwrap()));
    newcomer.applies(manifests.collect()).await;
    newcomer
        .types("kubectl -n shop wait --for=condition=Fresh xcs/db --timeout=60s")
        .await;
    operator.stop();
    let first = newcomer.version("shop", "secret", SECRET).await;
    let key = newcomer
        .version(HOME, "secret", "external-cloud-secrets-digest-key")
        .await;

    let [upgrade] = page.all_commands("Upgrade");
    newcomer.types(upgrade).await;
    runs(&newcomer, "upgraded").await;

    // The definitions apart, and back in the release.
    let [definitions] = page.all_commands("The definitions");
    newcomer.writes(
        "values.yaml",
        &format!("{values}crds: {{install: false}}\n"),
    );
    newcomer.types(definitions).await;
    newcomer.types(upgrade).await;
    runs(&newcomer, "apart").await;
    newcomer.writes("values.yaml", values);

    let [uninstall, another, everything] = page.all_commands("Uninstall and reinstall");
    newcomer.types(uninstall).await;
    newcomer.types(install).await;
    runs(&newcomer, "reinstalled").await;
    newcomer.types(uninstall).await;
    newcomer.types(another).await;
    newcomer
        .types("kubectl -n external-cloud-secrets get deployment another-external-cloud-secrets")
        .await;
    newcomer
        .types("helm uninstall another --namespace external-cloud-secrets")
        .await;
    newcomer
        .types(&format!("{} --take-ownership", install.trim_end()))
        .await;
    assert_eq!(newcomer.version("shop", "secret", SECRET).await, first);
    assert_eq!(
        newcomer
            .version(HOME, "secret", "external-cloud-secrets-digest-key")
            .await,
        key
    );

    newcomer.types(everything).await;
    newcomer
        .waits_gone(&["-n", "shop", "get", "secret", SECRET])
        .await;
    newcomer.waits_gone(&["get", "namespace", HOME]).await;
    let left = newcomer
        .types("kubectl get crd,clusterrole,clusterrolebinding,validatingadmissionpolicy -o name")
        .await;
    let ours: Vec<&str> = left
        .lines()
        .filter(|name| name.contains("cloudsecrets") || name.contains(HOME))
        .collect();
    assert_eq!(ours, Vec::<&str>::new());

    // Once more, from a registry.
    let registry = Registry::start().await;
    let by = [
        (
            "make chart",
            "helm package charts/external-cloud-secrets --destination target/chart",
        ),
        (
            "oci://registry.example.com",
            &format!("--plain-http oci://{}", registry.address),
        ),
    ];
    newcomer.types(&page.replaced(by_registry, &by)).await;
    assert!(registry.has("charts/external-cloud-secrets", env!("CARGO_PKG_VERSION")));
    newcomer
        .types("kubectl -n external-cloud-secrets get deployment external-cloud-secrets")
        .await;
    newcomer.types(uninstall).await;

    // And as the chart's own page says.
    let page = Page::read("charts/external-cloud-secrets/README.md");
    let [install] = page.all_commands("external-cloud-secrets");
    let install = page.replaced(install, &[("REGISTRY", "registry.example.com")]);
    newcomer
        .types(&format!("cd charts/external-cloud-secrets\n{install}"))
        .await;
    newcomer
        .types("kubectl -n external-cloud-secrets get deployment external-cloud-secrets")
        .await;
}
