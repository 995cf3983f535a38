//! What the person who watches reads.
#![expect(clippy::print_stdout, reason = "the demo talks to its user")]

use std::time::Duration;

const WIDTH: usize = 100;

/// Begins a step.
pub fn step(title: &str) {
    println!(
        "\n=== {title} {}",
        "=".repeat(WIDTH.saturating_sub(title.len() + 5))
    );
}

/// Explains, in plain words.
pub fn text(text: &str) {
    for line in text.lines() {
        println!("{line}");
    }
}

/// Shows a command, as one would type it.
pub fn command(command: &str) {
    println!("\n  $ {command}");
}

/// Shows what a command printed.
pub fn output(output: &str) {
    for line in output.lines() {
        println!("  {line}");
    }
}

/// A duration as a person says it.
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// A table of columns that are as wide as their widest cell.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        padded.join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
