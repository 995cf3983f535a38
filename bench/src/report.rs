//! The report. Its keys are a contract: what reads it today reads it next year. What was not measured is null.

use serde::{Deserialize, Serialize};

/// Everything that one run measured. Times are in seconds unless the key says otherwise, memory in MiB.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// How many objects.
    pub n: u64,
    /// Where it ran.
    pub machine: Machine,
    /// How fast the API server takes the writes of a bare client.
    pub floor: Floor,
    /// New objects, until all are written.
    pub cold: Cold,
    /// Unchanged values of KMS.
    pub steady: Steady,
    /// Unchanged values of OOS.
    pub steady_oos: SteadyOos,
    /// Unchanged values of SSM, of secrets that it rotates itself. Reports of before it was measured have none.
    #[serde(default)]
    pub steady_ssm: SteadySsm,
    /// Objects that all name one reference.
    pub shared: Shared,
    /// From the poll that returns a new value to the Secret's write.
    pub rotate: Latency,
    /// From the apply of a new object to its Secret, while many rows are due.
    pub fast_lane: Latency,
    /// A process that is killed and started again at once.
    pub restart: Restart,
    /// A cloud that answers nobody.
    pub outage: Outage,
    /// An operator without objects.
    pub idle: Idle,
    /// The size of the program.
    pub binary_mib: Option<f64>,
}

/// Where it ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// How many the kernel shows.
    pub cores: u64,
    /// The processor's name.
    pub cpu: String,
    /// The kernel's release.
    pub kernel: String,
}

/// How fast the API server takes the writes of a bare client.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// From the first write to the last, at the best concurrency.
    pub seconds: Option<f64>,
    /// That concurrency: objects written at once.
    pub concurrency: Option<u64>,
}

/// New objects, until all are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cold {
    /// From the operator's start to the last Secret and status.
    pub seconds: Option<f64>,
    /// That, less one second, by the floor's.
    pub ratio_to_floor: Option<f64>,
    /// Reads of the cloud.
    pub cloud_calls: Option<u64>,
    /// Writes to the API server, events among them.
    pub api_writes_per_object: Option<f64>,
    /// The operator's.
    pub cpu_seconds: Option<f64>,
}

/// Unchanged values of KMS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Steady {
    /// How often each value is read.
    pub interval_s: u64,
    /// How many intervals are counted.
    pub intervals: u64,
    /// How many distinct references.
    pub references: u64,
    /// Reads of the cloud, on average.
    pub cloud_calls_per_interval: Option<f64>,
    /// Writes to the API server in all intervals together.
    pub api_writes: Option<u64>,
    /// The operator's, per 10,000 values read.
    pub cpu_seconds_per_10k_refreshes: Option<f64>,
    /// The median of the samples.
    pub rss_mib: Option<f64>,
    /// The highest sample.
    pub rss_peak_mib: Option<f64>,
}

/// Unchanged values of OOS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadyOos {
    /// How many distinct references.
    pub references: u64,
    /// Reads of the cloud, on average.
    pub cloud_calls_per_interval: Option<f64>,
}

/// Unchanged values of SSM.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SteadySsm {
    /// How many distinct references.
    pub references: u64,
    /// Reads of the cloud, on average.
    pub cloud_calls_per_interval: Option<f64>,
}

/// Objects that all name one reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// How many objects.
    pub objects: u64,
    /// How many distinct references.
    pub references: u64,
    /// Reads of the cloud, on average.
    pub cloud_calls_per_interval: Option<f64>,
}

/// How long something took, of so many objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// How many objects.
    pub objects: u64,
    /// Half took at most this many milliseconds.
    pub p50_ms: Option<f64>,
    /// 99 in 100 took at most this many milliseconds.
    pub p99_ms: Option<f64>,
}

/// A process that is killed and started again at once, counted for 60 s from the kill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Reads of the cloud.
    pub cloud_calls_60s: Option<u64>,
    /// How many calls carry what falls due in that time.
    pub due_60s: u64,
    /// Writes to the API server.
    pub api_writes_60s: Option<u64>,
    /// From the kill until the new process says that it is ready.
    pub ready_s: Option<f64>,
}

/// A cloud that answers nobody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// How long.
    pub seconds: u64,
    /// Calls during it.
    pub cloud_calls: Option<u64>,
    /// Writes to the API server during it.
    pub api_writes: Option<u64>,
    /// Secrets that ever held anything but their old or their new values, until all had recovered.
    pub wrong_secrets: Option<u64>,
    /// From its end until every object is fresh and holds what is in the cloud.
    pub recovery_s: Option<f64>,
}

/// An operator without objects.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Idle {
    /// The median of the samples.
    pub rss_mib: Option<f64>,
    /// The operator's.
    pub cpu_seconds_per_minute: Option<f64>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// What readers of the report rely on.
    const CONTRACT: &str = r#"
{"n":1000, "machine":{"cores":4,"cpu":"…","kernel":"…"},
 "floor":{"seconds":0,"concurrency":0},
 "cold":{"seconds":0,"ratio_to_floor":0,"cloud_calls":0,"api_writes_per_object":0,"cpu_seconds":0},
 "steady":{"interval_s":10,"intervals":3,"references":4000,"cloud_calls_per_interval":0,"api_writes":0,"cpu_seconds_per_10k_refreshes":0,"rss_mib":0,"rss_peak_mib":0},
 "steady_oos":{"references":4000,"cloud_calls_per_interval":0},
 "steady_ssm":{"references":1000,"cloud_calls_per_interval":0},
 "shared":{"objects":1000,"references":1,"cloud_calls_per_interval":0},
 "rotate":{"objects":100,"p50_ms":0,"p99_ms":0},
 "fast_lane":{"objects":100,"p50_ms":0,"p99_ms":0},
 "restart":{"cloud_calls_60s":0,"due_60s":0,"api_writes_60s":0,"ready_s":0},
 "outage":{"seconds":60,"cloud_calls":0,"api_writes":0,"wrong_secrets":0,"recovery_s":0},
 "idle":{"rss_mib":0,"cpu_seconds_per_minute":0},
 "binary_mib":0}"#;

    fn keys(value: &Value, path: &str, into: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{key}");
            keys(value, &path, into);
            into.insert(path);
        }
    }

    #[test]
    fn the_keys_are_exactly_those_of_the_contract() {
        let contract: Value = serde_json::from_str(CONTRACT).unwrap();
        let empty = serde_json::to_value(Report::default()).unwrap();
        let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
        keys(&contract, "", &mut wanted);
        keys(&empty, "", &mut found);
        assert_eq!(found, wanted);
        assert_eq!(wanted.len(), 56, "the check looked at every level");
    }

    #[test]
    fn a_report_of_the_contract_can_be_read() {
        let report: Report = serde_json::from_str(CONTRACT).unwrap();
        assert_eq!((report.n, report.steady.references), (1_000, 4_000));
    }
}
