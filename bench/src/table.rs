//! The table on the terminal: each figure that has a bar, beside the bar.

use crate::report::Report;
use crate::stats::number;

use Bar::{Any, AtMost, Equal};

/// What a figure is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bar {
    /// No more than this.
    AtMost(f64),
    /// This, within a hundredth: fewer calls would mean that something was forgotten.
    Equal(f64),
    /// Whatever it is.
    Any,
}

/// How a figure is held against its bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Met,
    Missed,
    /// There is no bar, or nothing was measured.
    None,
}

type Row = (&'static str, &'static str, Option<f64>, Bar);

/// The report as a table of text.
pub fn table(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} objects of 4 keys; {} cores, {}, kernel {}\n",
        report.n, report.machine.cores, report.machine.cpu, report.machine.kernel
    )];
    let header = ["scenario", "figure", "measured", "bar", ""];
    let mut table = vec![header.map(str::to_owned)];
    table.extend(rows(report).iter().map(cells));
    let width = |column: usize| {
        let widths = table.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    for [scenario, figure, value, bar, verdict] in &table {
        let [a, b, c, d, _] = widths;
        let line = format!("{scenario:a$}  {figure:b$}  {value:>c$}  {bar:>d$}  {verdict}");
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Every figure with its bar. The bars for memory and latency are those of 10,000 objects; fewer must not take more.
fn rows(report: &Report) -> Vec<Row> {
    let mut rows = working(report);
    rows.extend(disturbed(report));
    rows
}

fn working(report: &Report) -> Vec<Row> {
    let Report {
        floor,
        cold,
        steady,
        steady_oos,
        steady_ssm,
        shared,
        ..
    } = report;
    let batches = |references: u64, batch: u64| Equal(number(references.div_ceil(batch)));
    let (kms, oos) = (steady.references, steady_oos.references);
    let calls = "cloud calls per interval";
    vec![
        ("floor", "seconds", floor.seconds, Any),
        ("floor", "concurrency", count(floor.concurrency), Any),
        ("cold", "seconds", cold.seconds, Any),
        ("cold", "ratio to floor", cold.ratio_to_floor, AtMost(1.2)),
        ("cold", "cloud calls", count(cold.cloud_calls), Any),
        (
            "cold",
            "API writes per object",
            cold.api_writes_per_object,
            Any,
        ),
        ("cold", "CPU seconds", cold.cpu_seconds, Any),
        (
            "steady",
            calls,
            steady.cloud_calls_per_interval,
            batches(kms, 20),
        ),
        (
            "steady",
            "API writes",
            count(steady.api_writes),
            AtMost(0.0),
        ),
        (
            "steady",
            "CPU seconds per 10,000 refreshes",
            steady.cpu_seconds_per_10k_refreshes,
            Any,
        ),
        ("steady", "RSS, MiB", steady.rss_mib, AtMost(64.0)),
        ("steady", "RSS peak, MiB", steady.rss_peak_mib, Any),
        (
            "steady_oos",
            calls,
            steady_oos.cloud_calls_per_interval,
            batches(oos, 10),
        ),
        (
            "steady_ssm",
            calls,
            steady_ssm.cloud_calls_per_interval,
            batches(steady_ssm.references, 1),
        ),
        ("shared", calls, shared.cloud_calls_per_interval, Equal(1.0)),
    ]
}

fn disturbed(report: &Report) -> Vec<Row> {
    let Report {
        rotate,
        fast_lane,
        restart,
        outage,
        idle,
        ..
    } = report;
    let due = Equal(number(restart.due_60s));
    let interval = AtMost(number(report.steady.interval_s));
    vec![
        ("rotate", "p50, ms", rotate.p50_ms, Any),
        ("rotate", "p99, ms", rotate.p99_ms, AtMost(100.0)),
        ("fast_lane", "p50, ms", fast_lane.p50_ms, Any),
        ("fast_lane", "p99, ms", fast_lane.p99_ms, AtMost(270.0)),
        (
            "restart",
            "cloud calls in 60 s",
            count(restart.cloud_calls_60s),
            due,
        ),
        (
            "restart",
            "API writes in 60 s",
            count(restart.api_writes_60s),
            AtMost(0.0),
        ),
        ("restart", "ready, s", restart.ready_s, Any),
        (
            "outage",
            "cloud calls in 60 s",
            count(outage.cloud_calls),
            Any,
        ),
        (
            "outage",
            "API writes in 60 s",
            count(outage.api_writes),
            Any,
        ),
        (
            "outage",
            "wrong Secrets",
            count(outage.wrong_secrets),
            AtMost(0.0),
        ),
        ("outage", "recovery, s", outage.recovery_s, interval),
        ("idle", "RSS, MiB", idle.rss_mib, AtMost(16.0)),
        (
            "idle",
            "CPU seconds per minute",
            idle.cpu_seconds_per_minute,
            Any,
        ),
        ("binary", "MiB", report.binary_mib, Any),
    ]
}

fn count(value: Option<u64>) -> Option<f64> {
    value.map(number)
}

fn verdict((_, _, value, bar): &Row) -> Verdict {
    let met = match (value, bar) {
        (None, _) | (_, Any) => return Verdict::None,
        (Some(value), AtMost(most)) => value <= most,
        (Some(value), Equal(wanted)) => (value - wanted).abs() <= wanted / 100.0,
    };
    if met { Verdict::Met } else { Verdict::Missed }
}

fn cells(row: &Row) -> [String; 5] {
    let (scenario, figure, value, bar) = row;
    let text = |number: f64| {
        let text = format!("{number:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let bar = match bar {
        AtMost(most) => format!("at most {}", text(*most)),
        Equal(wanted) => text(*wanted),
        Any => String::new(),
    };
    let verdict = match verdict(row) {
        Verdict::Met => "met",
        Verdict::Missed => "MISSED",
        Verdict::None => "",
    };
    [
        (*scenario).to_owned(),
        (*figure).to_owned(),
        value.map_or_else(|| "-".to_owned(), text),
        bar,
        verdict.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cold, Steady};

    #[test]
    fn a_figure_is_held_against_its_bar_and_an_absent_one_against_none() {
        let report = Report {
            cold: Cold {
                ratio_to_floor: Some(1.21),
                ..Cold::default()
            },
            steady: Steady {
                references: 4_000,
                cloud_calls_per_interval: Some(200.0),
                ..Steady::default()
            },
            ..Report::default()
        };
        let verdicts: Vec<_> = rows(&report)
            .iter()
            .filter(|row| verdict(row) != Verdict::None)
            .map(|row| (row.0, verdict(row)))
            .collect();
        let wanted = [("cold", Verdict::Missed), ("steady", Verdict::Met)];
        assert_eq!(verdicts, wanted);
    }

    #[test]
    fn fewer_calls_than_are_due_are_as_wrong_as_more() {
        let of = |calls| {
            let mut report = Report::default();
            report.restart.due_60s = 1_200;
            report.restart.cloud_calls_60s = Some(calls);
            let rows = rows(&report);
            let row = rows.iter().find(|row| row.0 == "restart");
            row.map(verdict)
        };
        let verdicts = [1_100, 1_190, 1_200, 1_300].map(of);
        let wanted = [Verdict::Missed, Verdict::Met, Verdict::Met, Verdict::Missed];
        assert_eq!(verdicts, wanted.map(Some));
    }

    #[test]
    fn the_table_shows_what_was_missed_and_what_was_not_measured() {
        let report = Report {
            cold: Cold {
                ratio_to_floor: Some(1.5),
                ..Cold::default()
            },
            ..Report::default()
        };
        let table = table(&report);
        let ratio = table.lines().find(|line| line.contains("ratio")).unwrap();
        assert!(ratio.ends_with("MISSED"), "{ratio}");
        let peak = table.lines().find(|line| line.contains("peak")).unwrap();
        assert!(peak.ends_with('-'), "{peak}");
    }
}
