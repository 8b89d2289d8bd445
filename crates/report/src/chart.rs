//! Line charts as inline SVG, without scripts, fonts or other files.
//!
//! A point that has no position on an axis (NaN, infinities; zero and below on a logarithmic axis) breaks the
//! line. The number of such points is given under the chart.

use crate::axis::{Axis, Scale};
use crate::error::{Error, Result};
use maud::{Markup, html};
use std::fmt::Write;

/// Size of the drawing in SVG units; then the edges of the plot area.
const SIZE: (f64, f64) = (480.0, 270.0);
const LEFT: f64 = 62.0;
const RIGHT: f64 = 458.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 226.0;

/// Colours that are distinct with any kind of colour vision (Okabe and Ito 2008). Later lines repeat them dashed.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// A named line: points in the order in which they are joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A named line through `(x[i], y[i])`.
    ///
    /// # Errors
    /// The lengths differ.
    pub fn new(name: impl Into<String>, x: &[f64], y: &[f64]) -> Result<Self> {
        if x.len() != y.len() {
            let (expected, got) = (format!("{} y for as many x", x.len()), y.len().to_string());
            return Err(Error::Input { operation: "Series::new", expected, got });
        }
        Ok(Self { name: name.into(), points: x.iter().copied().zip(y.iter().copied()).collect() })
    }
}

/// A line chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Title above the chart.
    pub title: String,
    /// Label below the x axis.
    pub x_label: String,
    /// Label to the left of the y axis.
    pub y_label: String,
    /// Scale of the x axis.
    pub x_scale: Scale,
    /// Scale of the y axis.
    pub y_scale: Scale,
    /// The lines.
    pub series: Vec<Series>,
}

impl Chart {
    /// A chart with linear axes.
    #[must_use]
    pub fn lines(
        title: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
        series: Vec<Series>,
    ) -> Self {
        let (x_scale, y_scale) = (Scale::Linear, Scale::Linear);
        Self {
            title: title.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            x_scale,
            y_scale,
            series,
        }
    }

    /// The same chart with a logarithmic y axis.
    #[must_use]
    pub fn log_y(self) -> Self {
        Self { y_scale: Scale::Log, ..self }
    }

    pub(crate) fn render(&self) -> Markup {
        // A point without a position on one axis does not widen the range of the other.
        let has_position = |p: &&(f64, f64)| {
            let on = |scale, v| Axis::fit(scale, 0.0, std::iter::once(v)).position(v).is_some();
            on(self.x_scale, p.0) && on(self.y_scale, p.1)
        };
        let points = || self.series.iter().flat_map(|s| &s.points);
        let x_axis = Axis::fit(self.x_scale, 0.0, points().filter(has_position).map(|p| p.0));
        let y_axis = Axis::fit(self.y_scale, 0.05, points().filter(has_position).map(|p| p.1));
        let n_left_out = points().filter(|p| !has_position(p)).count();
        let lines = self.series.iter().map(|s| runs(&x_axis, &y_axis, &s.points));
        html! {
            figure.chart {
                figcaption { (self.title) }
                (self.legend())
                svg viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-label=(self.title) {
                    (self.frame(&x_axis, &y_axis))
                    @for (i, runs) in lines.enumerate() { (line(i, &runs)) }
                }
                @if n_left_out > 0 {
                    p.note { (n_left_out) " of " (points().count()) " points have no place on these axes." }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            div.legend {
                @for (i, series) in self.series.iter().enumerate() {
                    span {
                        svg viewBox="0 0 22 8" width="22" height="8" aria-hidden="true" {
                            path.key d="M0 4H22" stroke=(colour(i)) stroke-dasharray=[dashes(i)] {}
                        }
                        (series.name)
                    }
                }
            }
        }
    }

    /// Grid, tick labels and axis labels.
    fn frame(&self, x_axis: &Axis, y_axis: &Axis) -> Markup {
        let middle = (TOP + BOTTOM) / 2.0;
        html! {
            @for (position, label) in x_axis.ticks() {
                @let x = format!("{:.1}", across(position));
                path.grid d=(format!("M{x} {TOP}V{BOTTOM}")) {}
                text x=(x) y=(BOTTOM + 15.0) text-anchor="middle" { (label) }
            }
            @for (position, label) in y_axis.ticks() {
                @let y = up(position);
                path.grid d=(format!("M{LEFT} {y:.1}H{RIGHT}")) {}
                text x=(LEFT - 6.0) y=(format!("{:.1}", y + 4.0)) text-anchor="end" { (label) }
            }
            path.axis d=(format!("M{LEFT} {TOP}V{BOTTOM}H{RIGHT}")) {}
            text.label x=((LEFT + RIGHT) / 2.0) y=(BOTTOM + 34.0) text-anchor="middle" { (self.x_label) }
            @let turned = format!("translate(12 {middle}) rotate(-90)");
            text.label transform=(turned) text-anchor="middle" { (self.y_label) }
        }
    }
}

fn across(position: f64) -> f64 {
    LEFT + position * (RIGHT - LEFT)
}

fn up(position: f64) -> f64 {
    BOTTOM - position * (BOTTOM - TOP)
}

fn colour(i: usize) -> &'static str {
    COLOURS[i % COLOURS.len()]
}

fn dashes(i: usize) -> Option<&'static str> {
    (i >= COLOURS.len()).then_some("6 3")
}

/// A line cut at points without a position, in SVG units, and thinned to what is visible.
fn runs(x_axis: &Axis, y_axis: &Axis, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let placed: Vec<_> =
        points.iter().map(|p| Some((across(x_axis.position(p.0)?), up(y_axis.position(p.1)?)))).collect();
    let runs = placed.split(Option::is_none).filter(|run| !run.is_empty());
    runs.map(|run| thin(&run.iter().flatten().copied().collect::<Vec<_>>())).collect()
}

/// Keeps the first, lowest, highest and last point in each pixel column.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let columns = points.chunk_by(|a, b| a.0.floor() == b.0.floor());
    let mut kept = Vec::new();
    for column in columns {
        let (mut low, mut high) = (0, 0);
        for (i, point) in column.iter().enumerate() {
            low = if point.1 < column[low].1 { i } else { low };
            high = if point.1 > column[high].1 { i } else { high };
        }
        let mut indices = [0, low, high, column.len() - 1];
        indices.sort_unstable();
        kept.extend(indices.iter().map(|i| column[*i]));
    }
    kept.dedup();
    kept
}

fn line(i: usize, runs: &[Vec<(f64, f64)>]) -> Markup {
    let mut path = String::new();
    for run in runs {
        for (k, (x, y)) in run.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(path, "{}{x:.1} {y:.1}", if k == 0 { 'M' } else { 'L' });
        }
    }
    let few = runs.iter().map(Vec::len).sum::<usize>() <= 30;
    let dots = runs.iter().filter(|run| few || run.len() == 1).flatten();
    html! {
        path.line d=(path) stroke=(colour(i)) stroke-dasharray=[dashes(i)] {}
        @for (x, y) in dots {
            circle cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.2" fill=(colour(i)) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(x: &[f64], y: &[f64]) -> Chart {
        Chart::lines("t", "x", "y", vec![Series::new("s", x, y).unwrap()])
    }

    fn path(chart: &Chart) -> String {
        let svg = chart.render().into_string();
        let (_, rest) = svg.split_once("class=\"line\" d=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn corners_of_the_plot() {
        let svg = path(&chart(&[0.0, 1.0, 2.0], &[0.0, 10.0, 0.0]));
        let margin = (BOTTOM - TOP) * 0.05 / 1.1;
        let (low, high) = (BOTTOM - margin, TOP + margin);
        assert_eq!(
            svg,
            format!("M{LEFT:.1} {low:.1}L{:.1} {high:.1}L{RIGHT:.1} {low:.1}", (LEFT + RIGHT) / 2.0)
        );
    }

    #[test]
    fn a_missing_point_breaks_the_line_and_is_counted() {
        let with_nan = chart(&[0.0, 1.0, 2.0, 3.0], &[1.0, f64::NAN, 1.0, 2.0]);
        assert_eq!(path(&with_nan).matches('M').count(), 2);
        assert!(with_nan.render().into_string().contains("1 of 4 points have no place"));
        let log = chart(&[0.0, 1.0, 2.0], &[1.0, 0.0, -1.0]).log_y();
        assert!(log.render().into_string().contains("2 of 3 points have no place"));
        let whole = chart(&[0.0, 1.0], &[1.0, 2.0]).render().into_string();
        assert!(!whole.contains("no place"));
        assert!(chart(&[], &[]).render().into_string().contains("<svg"));
    }

    #[test]
    fn many_points_are_thinned_but_peaks_stay() {
        let x: Vec<f64> = (0..100_000).map(f64::from).collect();
        let mut y = vec![1.0; 100_000];
        (y[54_321], y[54_322]) = (3.0, -2.0);
        let svg = path(&chart(&x, &y));
        assert!(svg.len() < 25_000, "{}", svg.len());
        let margin = (BOTTOM - TOP) * 0.05 / 1.1;
        assert!(
            svg.contains(&format!(" {:.1}", TOP + margin))
                && svg.contains(&format!(" {:.1}", BOTTOM - margin))
        );
    }

    #[test]
    fn names_are_escaped_and_lengths_checked() {
        let series = vec![Series::new("<script>", &[], &[]).unwrap()];
        let svg = Chart::lines("a & b", "\"x\"", "y", series).render().into_string();
        assert!(
            svg.contains("&lt;script&gt;") && svg.contains("a &amp; b") && !svg.contains("<script"),
            "{svg}"
        );
        assert!(Series::new("s", &[1.0], &[]).is_err());
    }
}
