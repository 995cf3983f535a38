//! Pictures of how cost grows, from the reports of several sizes.

mod chart;

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::report::Report;
use crate::stats::number;
use crate::tell;

use chart::{Chart, Series};

/// One picture: its file, what it shows, and how its lines come from a report.
struct Picture {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    lines: &'static [Line],
}

struct Line {
    name: &'static str,
    value: fn(&Report) -> Option<f64>,
}

const PICTURES: [Picture; 5] = [
    Picture {
        file: "calls.svg",
        title: "Cloud calls per reference and interval",
        unit: "calls",
        lines: &[
            Line {
                name: "OOS, ten to a call",
                value: |r| {
                    per(
                        r.steady_oos.cloud_calls_per_interval,
                        r.steady_oos.references,
                    )
                },
            },
            Line {
                name: "KMS, twenty to a call",
                value: |r| per(r.steady.cloud_calls_per_interval, r.steady.references),
            },
            Line {
                name: "one KMS reference in all objects",
                value: |r| per(r.shared.cloud_calls_per_interval, r.shared.objects),
            },
        ],
    },
    Picture {
        file: "writes.svg",
        title: "Writes to the API server per object",
        unit: "writes",
        lines: &[
            Line {
                name: "new objects",
                value: |r| r.cold.api_writes_per_object,
            },
            Line {
                name: "unchanged values, three intervals",
                value: |r| per(r.steady.api_writes.map(number), r.n),
            },
        ],
    },
    Picture {
        file: "memory.svg",
        title: "Resident memory",
        unit: "MiB",
        lines: &[
            Line {
                name: "with unchanged values",
                value: |r| r.steady.rss_mib,
            },
            Line {
                name: "without objects",
                value: |r| r.idle.rss_mib,
            },
        ],
    },
    Picture {
        file: "cpu.svg",
        title: "CPU per 10,000 unchanged values read",
        unit: "CPU seconds",
        lines: &[Line {
            name: "the operator",
            value: |r| r.steady.cpu_seconds_per_10k_refreshes,
        }],
    },
    Picture {
        file: "cold.svg",
        title: "Until all new Secrets and statuses are written, per 1,000 objects",
        unit: "seconds",
        lines: &[
            Line {
                name: "the operator, from its start",
                value: |r| per(r.cold.seconds.map(|s| s * 1_000.0), r.n),
            },
            Line {
                name: "the floor, from its first write",
                value: |r| per(r.floor.seconds.map(|s| s * 1_000.0), r.n),
            },
        ],
    },
];

fn per(value: Option<f64>, count: u64) -> Option<f64> {
    Some(value? / number(count.max(1)))
}

/// Draws every picture into `out`.
///
/// # Errors
/// If a report cannot be read, or nothing was measured.
pub fn plot(out: &Path, reports: &[PathBuf]) -> Result<()> {
    let read = |path: &PathBuf| -> Result<Report> {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
        serde_json::from_str(&text).map_err(|error| Failure(format!("{}: {error}", path.display())))
    };
    let mut reports = reports.iter().map(read).collect::<Result<Vec<_>>>()?;
    reports.sort_by_key(|report| report.n);
    fs::create_dir_all(out)?;
    for picture in &PICTURES {
        let path = out.join(picture.file);
        fs::write(&path, picture.draw(&reports))?;
        tell::result(&path.display().to_string());
    }
    Ok(())
}

// === impl Picture ===

impl Picture {
    fn draw(&self, reports: &[Report]) -> String {
        let series = |line: &Line| Series {
            name: line.name,
            points: reports
                .iter()
                .filter_map(|report| Some((number(report.n), (line.value)(report)?)))
                .collect(),
        };
        let chart = Chart {
            title: self.title,
            x: "objects of four keys",
            y: self.unit,
            series: self.lines.iter().map(series).collect(),
        };
        chart.svg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Steady;

    #[test]
    fn each_picture_shows_what_was_measured_and_leaves_out_what_was_not() {
        let at = |n, calls| Report {
            n,
            steady: Steady {
                references: n * 4,
                cloud_calls_per_interval: calls,
                ..Steady::default()
            },
            ..Report::default()
        };
        let reports = [
            at(1_000, Some(200.0)),
            at(2_000, None),
            at(4_000, Some(800.0)),
        ];
        let svg = PICTURES[0].draw(&reports);
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
        assert!(svg.contains("KMS, twenty to a call"));
        assert!(!svg.contains("OOS"), "a line without a point has no name");
    }
}
