//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps Kubernetes Secrets in step with the secret stores of Alibaba Cloud and Tencent Cloud.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without a command, the operator runs.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The operator's settings, where no command is given.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against the cluster of KUBECONFIG, or the one it is in.
    Run(Box<RunArgs>),
    /// Print the custom resource definitions as YAML.
    Crds(CrdsArgs),
}

/// Settings of `crds`.
#[derive(Debug, Args)]
pub struct CrdsArgs {
    /// Write one file per definition into this directory instead of printing.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Settings of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Where /healthz, /readyz and /metrics are served; by default at every address, of IPv4 too.
    #[arg(
        long,
        env = "HTTP_ADDRESS",
        default_value = "[::]:8080",
        value_name = "ADDRESS"
    )]
    pub http_address: SocketAddr,

    /// The namespace of the operator's own Secret and Lease, which must exist. Default: the Pod's namespace;
    /// outside a cluster, external-cloud-secrets.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// The namespaces that are served; those that ClusterCloudSecretStores name things in must be among
    /// them. Default: all.
    #[arg(
        long,
        env = "WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACE,...",
        value_parser = dns_label
    )]
    pub watch_namespaces: Vec<String>,

    /// Serve ClusterCloudSecretStores, which takes permissions in the whole cluster.
    #[arg(
        long,
        env = "CLUSTER_STORES",
        default_value_t = true,
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub cluster_stores: bool,

    /// Serve the stores whose spec.controller is this, and the objects that read through them, and no
    /// others. Default: those without spec.controller.
    #[arg(long, env = "CONTROLLER_CLASS", value_name = "CLASS", value_parser = dns_label)]
    pub controller_class: Option<String>,

    /// The cluster's name in the session names that clouds log. Default: from the UID of the
    /// namespace kube-system.
    #[arg(long, env = "CLUSTER_NAME", value_name = "NAME", value_parser = cluster_name)]
    pub cluster_name: Option<String>,

    /// The audiences that ServiceAccount tokens may be made for.
    #[arg(
        long,
        env = "ALLOWED_TOKEN_AUDIENCES",
        default_value = "sts.aliyuncs.com,sts.cloud.tencent.com",
        value_delimiter = ',',
        value_name = "AUDIENCE,...",
        value_parser = audience
    )]
    pub allowed_token_audiences: Vec<String>,

    /// Domains whose hosts stores may name as endpoints, besides the clouds' own.
    #[arg(
        long,
        env = "ALLOWED_ENDPOINT_SUFFIXES",
        value_delimiter = ',',
        value_name = "DOMAIN,..."
    )]
    pub allowed_endpoint_suffixes: Vec<String>,

    /// Let endpoints be any host and port, also by plain http. For tests and simulators only: whoever
    /// may create a store can then have requests sent anywhere.
    #[arg(long, env = "ALLOW_INSECURE_ENDPOINTS")]
    pub allow_insecure_endpoints: bool,

    /// Let CloudSecretStores use the operator's own identity.
    #[arg(
        long,
        env = "STORE_AMBIENT_CREDENTIALS",
        default_value_t = false,
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub store_ambient_credentials: bool,

    /// Let ClusterCloudSecretStores use the operator's own identity.
    #[arg(
        long,
        env = "CLUSTER_STORE_AMBIENT_CREDENTIALS",
        default_value_t = true,
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub cluster_store_ambient_credentials: bool,

    /// Let stores that may use the operator's own identity use the role of the instance it runs on, and
    /// let that be the operator's own identity where its environment configures no other.
    #[arg(long, env = "ENABLE_INSTANCE_ROLE")]
    pub enable_instance_role: bool,

    /// Where the instance's metadata service is. For tests and simulators only: it is refused without
    /// --allow-insecure-endpoints. Default: where the cloud has its own.
    #[arg(
        long,
        env = "INSTANCE_METADATA_URL",
        requires = "allow_insecure_endpoints",
        value_name = "URL"
    )]
    pub instance_metadata_url: Option<String>,

    /// The Alibaba Cloud account of roles that ServiceAccounts name by the annotation
    /// pod-identity.alibabacloud.com/role-name, and of the cluster's OIDC provider. Default: the
    /// account of the store's oidcProviderArn, and of the role.
    #[arg(long, env = "ALIBABA_ACCOUNT_ID", value_name = "ID", value_parser = account_id)]
    pub alibaba_account_id: Option<String>,

    /// The id of the ACK cluster, which makes the OIDC provider ack-rrsa-ID of stores that name none.
    #[arg(long, env = "ACK_CLUSTER_ID", value_name = "ID", value_parser = ack_cluster_id)]
    pub ack_cluster_id: Option<String>,

    /// The part of each account's call quotas that this operator uses, for other clusters and applications
    /// share them: of 100 calls a second where none is published; from 0 to 1. 0 lifts all budgets: for private endpoints and benchmarks.
    #[arg(
        long,
        env = "QUOTA_SHARE",
        default_value = "0.2",
        value_name = "SHARE",
        value_parser = share
    )]
    pub quota_share: f64,

    /// How many bytes of fetched values may wait to be written; while they are reached, no new batch is
    /// fetched. At least 1Mi; Ki, Mi and Gi are understood.
    #[arg(
        long,
        env = "VALUE_MEMORY",
        default_value = "16Mi",
        value_name = "BYTES",
        value_parser = bytes
    )]
    pub value_memory: usize,

    /// How logs are written. What is logged is set by RUST_LOG, such as info or debug; it rules this
    /// program only, for libraries may log what must not be seen.
    #[arg(
        long,
        env = "LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub log_format: LogFormat,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

fn audience(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(
            "an audience must not be empty: the API server would take it as its own".into(),
        );
    }
    Ok(text.to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

fn bytes(text: &str) -> Result<usize, String> {
    let units = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("", 0)];
    let unit = units.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, shift) = unit.map_or((text, 0), |(unit, shift)| {
        (text.strip_suffix(unit).unwrap_or(text), *shift)
    });
    let number: Option<usize> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    let bytes = bytes.filter(|bytes| (1 << 20..=1 << 40).contains(bytes));
    bytes.ok_or_else(|| "must be a number of bytes such as 16Mi, at least 1Mi".to_owned())
}

fn dns_label(text: &str) -> Result<String, String> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let ends = text.starts_with('-') || text.ends_with('-');
    if ends || !(1..=63).contains(&text.len()) || !text.chars().all(allowed) {
        return Err("must be 1 to 63 of a-z 0-9 -, with no - at the ends".into());
    }
    Ok(text.to_owned())
}

fn account_id(text: &str) -> Result<String, String> {
    if (1..=20).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err("must be the number of an account".into())
}

fn ack_cluster_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("must be the id of a cluster, such as c0123456789abcdef".into())
}

fn cluster_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.is_empty() || text.len() > 32 || !text.chars().all(allowed) {
        return Err("must be 1 to 32 of A-Z a-z 0-9 . _ -".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_command() {
        let cli = Cli::try_parse_from(["x", "--http-address", "127.0.0.1:0"]).unwrap();
        assert!(cli.command.is_none());
        assert!(!cli.run.store_ambient_credentials);
        assert!(cli.run.cluster_store_ambient_credentials);
        let cli = Cli::try_parse_from(["x", "run", "--cluster-store-ambient-credentials=false"]);
        let Some(Command::Run(run)) = cli.unwrap().command else {
            panic!("not run")
        };
        assert!(!run.cluster_store_ambient_credentials);
    }

    #[test]
    fn the_metadata_service_is_elsewhere_in_tests_only() {
        let elsewhere = ["x", "--instance-metadata-url", "http://127.0.0.1:1"];
        assert!(Cli::try_parse_from(elsewhere).is_err());
        let insecure = elsewhere.iter().chain(&["--allow-insecure-endpoints"]);
        let cli = Cli::try_parse_from(insecure).unwrap();
        assert!(!cli.run.enable_instance_role);
        let cli = Cli::try_parse_from(["x"]).unwrap();
        assert_eq!(cli.run.instance_metadata_url, None);
    }

    #[test]
    fn what_becomes_part_of_an_arn_is_checked() {
        for (flag, value) in [("--alibaba-account-id", "1:2"), ("--ack-cluster-id", "c/1")] {
            assert!(Cli::try_parse_from(["x", flag, value]).is_err(), "{value}");
        }
    }

    #[test]
    fn shares_and_sizes_have_their_bounds() {
        let table = [
            ("0", true),
            ("0.2", true),
            ("1", true),
            ("1.1", false),
            ("-1", false),
        ];
        let others = [("NaN", false), ("", false), ("x", false)];
        for (text, good) in table.into_iter().chain(others) {
            assert_eq!(share(text).is_ok(), good, "{text}");
        }
        let sizes = [
            ("16Mi", Some(16 << 20)),
            ("1048576", Some(1 << 20)),
            ("2048Ki", Some(2 << 20)),
            ("1Gi", Some(1 << 30)),
            ("1Ki", None),
            ("Mi", None),
            ("-1Mi", None),
            ("99999999999999999999Gi", None),
        ];
        for (text, size) in sizes {
            assert_eq!(bytes(text).ok(), size, "{text}");
        }
    }

    #[test]
    fn namespaces_and_classes_are_dns_labels() {
        let parse = |flag: &str, value: &str| Cli::try_parse_from(["x", flag, value]);
        let cli = parse("--watch-namespaces", "shop, other").unwrap();
        assert_eq!(cli.run.watch_namespaces, ["shop", "other"]);
        assert!(cli.run.cluster_stores && cli.run.controller_class.is_none());
        for value in ["", "shop,", "Shop", "-a", "a.b", &"a".repeat(64)] {
            assert!(parse("--watch-namespaces", value).is_err(), "{value}");
            assert!(parse("--controller-class", value).is_err(), "{value}");
        }
    }

    #[test]
    fn an_empty_audience_is_refused() {
        let parsed = Cli::try_parse_from(["x", "--allowed-token-audiences", "a,,b"]);
        assert!(
            parsed
                .unwrap_err()
                .to_string()
                .contains("must not be empty")
        );
    }
}
