//! A line chart as SVG: a logarithmic axis of sizes, a linear one from zero.

use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Colours that people with colour blindness can tell apart too.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// A named line.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it is.
    pub name: &'static str,
    /// Its points, in the order of x, which is above zero.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows.
    pub title: &'static str,
    /// What runs to the right.
    pub x: &'static str,
    /// What runs upwards.
    pub y: &'static str,
    /// The lines. Those without a point are left out.
    pub series: Vec<Series>,
}

/// Where values are on the picture.
struct Scale {
    least: f64,
    most: f64,
    top: f64,
}

// === impl Chart ===

impl Chart {
    /// The picture.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        let shown: Vec<&Series> = self
            .series
            .iter()
            .filter(|series| !series.points.is_empty())
            .collect();
        let scale = Scale::of(&shown);
        let (middle, centre, bottom) = (WIDTH / 2.0, HEIGHT / 2.0, HEIGHT - BOTTOM);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{middle}" y="20" text-anchor="middle" font-size="14">{}</text>
<text x="{middle}" y="{}" text-anchor="middle">{}</text>
<text x="14" y="{centre}" text-anchor="middle" transform="rotate(-90 14 {centre})">{}</text>"##,
            self.title,
            HEIGHT - 10.0,
            self.x,
            self.y
        );
        for value in ticks(scale.top) {
            let y = scale.y(value);
            let _ = writeln!(
                svg,
                r##"<line x1="{LEFT}" y1="{y:.1}" x2="{:.1}" y2="{y:.1}" stroke="#dddddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"##,
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                label(value)
            );
        }
        for size in sizes(&shown) {
            let x = scale.x(size);
            let _ = writeln!(
                svg,
                r##"<line x1="{x:.1}" y1="{bottom}" x2="{x:.1}" y2="{:.1}" stroke="#333333"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
                bottom + 5.0,
                bottom + 18.0,
                label(size)
            );
        }
        for (index, series) in shown.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            series.draw(&mut svg, &scale, colour, index);
        }
        svg.push_str("</svg>\n");
        svg
    }
}

// === impl Series ===

impl Series {
    fn draw(&self, svg: &mut String, scale: &Scale, colour: &str, index: usize) {
        let place = |(x, y): &(f64, f64)| (scale.x(*x), scale.y(*y));
        let points: Vec<(f64, f64)> = self.points.iter().map(place).collect();
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            path.join(" ")
        );
        for (x, y) in points {
            let _ = writeln!(
                svg,
                r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#
            );
        }
        // Names stand in a row of their own, above the lines.
        let row = TOP + 4.0 + 16.0 * f64::from(u32::try_from(index).unwrap_or_default());
        let _ = writeln!(
            svg,
            r#"<rect x="{:.1}" y="{:.1}" width="10" height="3" fill="{colour}"/><text x="{:.1}" y="{:.1}">{}</text>"#,
            LEFT + 6.0,
            row - 1.5,
            LEFT + 22.0,
            row + 4.0,
            self.name
        );
    }
}

// === impl Scale ===

impl Scale {
    fn of(series: &[&Series]) -> Self {
        let points = || series.iter().flat_map(|series| &series.points);
        let most_y = points().map(|point| point.1).fold(0.0, f64::max);
        // A quarter of room above the lines, for their names.
        let top = if most_y > 0.0 { most_y * 1.35 } else { 1.0 };
        Self {
            least: points().map(|point| point.0).fold(f64::MAX, f64::min),
            most: points().map(|point| point.0).fold(1.0, f64::max),
            top,
        }
    }

    fn x(&self, value: f64) -> f64 {
        let width = WIDTH - LEFT - RIGHT - 40.0;
        let span = (self.most / self.least).ln();
        let part = if span > 0.0 {
            (value / self.least).ln() / span
        } else {
            0.5
        };
        LEFT + 20.0 + part * width
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - value / self.top * (HEIGHT - BOTTOM - TOP)
    }
}

/// The sizes that were measured, each once.
fn sizes(series: &[&Series]) -> Vec<f64> {
    let points = series.iter().flat_map(|series| &series.points);
    let mut sizes: Vec<f64> = points.map(|point| point.0).collect();
    sizes.sort_unstable_by(f64::total_cmp);
    sizes.dedup();
    sizes
}

/// Four to eight round values from zero to `top`.
fn ticks(top: f64) -> Vec<f64> {
    let unit = 10_f64.powf(top.log10().floor());
    let step = [0.2, 0.5, 1.0, 2.0]
        .into_iter()
        .map(|part| part * unit)
        .find(|step| top / step <= 8.0)
        .unwrap_or(unit);
    let values = (0..=8).map(|count| step * f64::from(count));
    values.filter(|value| *value <= top).collect()
}

/// A number without needless digits.
fn label(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.split_once('.') {
        None if text.len() > 3 => {
            format!("{},{}", &text[..text.len() - 3], &text[text.len() - 3..])
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(ticks(2.7).len(), 6, "{:?}", ticks(2.7));
        let labels: Vec<String> = ticks(0.135).into_iter().map(label).collect();
        assert_eq!(labels, ["0", "0.02", "0.04", "0.06", "0.08", "0.1", "0.12"]);
        for top in [0.000_3, 1.0, 9.99, 64.0, 10_000.0] {
            assert!(
                (3..=9).contains(&ticks(top).len()),
                "{top}: {:?}",
                ticks(top)
            );
        }
    }

    #[test]
    fn labels_are_as_people_write_numbers() {
        let written = [250.0, 1_000.0, 10_000.0, 0.05, 2.0].map(label);
        assert_eq!(written, ["250", "1,000", "10,000", "0.05", "2"]);
    }

    #[test]
    fn one_size_alone_is_drawn_in_the_middle() {
        let series = Series {
            name: "canary",
            points: vec![(1_000.0, 2.0)],
        };
        let chart = Chart {
            title: "t",
            x: "x",
            y: "y",
            series: vec![series],
        };
        let svg = chart.svg();
        assert!(svg.contains("canary") && !svg.contains("NaN"), "{svg}");
        assert!(svg.contains(r#"rotate(-90 14 160)">y</text>"#), "{svg}");
    }
}
