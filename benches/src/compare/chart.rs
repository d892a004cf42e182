//! The CPU figures as a bar chart in SVG.

use std::fmt::Write;

use super::figure::Figure;
use super::measure::Measurement;
use super::program::Make;
use super::report::number;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 44.0;
const TITLE: f64 = 18.0;
const BAR: f64 = 15.0;
const GAP: f64 = 12.0;

/// A group of bars to each row: CPU per item or scrape, as long as its share of the dearest in the row.
pub(crate) fn svg(measurements: &[Measurement]) -> String {
    let groups: Vec<Group> = measurements.iter().filter_map(Group::of).collect();
    let height = TOP + groups.iter().map(Group::height).sum::<f64>();
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="14" y="26" font-size="15" font-weight="600" fill="#1b2733">CPU time for the same work: shorter is cheaper</text>
"##
    );
    let mut y = TOP;
    for group in &groups {
        group.draw(&mut svg, y);
        y += group.height();
    }
    svg.push_str("</svg>\n");
    svg
}

struct Group {
    title: String,
    bars: Vec<Bar>,
}

struct Bar {
    make: Make,
    share: f64,
    label: String,
}

impl Group {
    /// `None` for a row without a CPU figure.
    fn of(measurement: &Measurement) -> Option<Group> {
        let makes = [Make::Otelcol, Make::Rotel, Make::Tidegate];
        let shown_by = |figure| {
            let medians = makes.into_iter().filter_map(move |make| {
                let spread = measurement.spread(make, figure)?;
                Some((make, spread.median))
            });
            medians.collect::<Vec<_>>()
        };
        let (figure, medians) = [Figure::ScrapeCpu, Figure::Cpu]
            .into_iter()
            .map(|figure| (figure, shown_by(figure)))
            .find(|(_, medians)| !medians.is_empty())?;
        let most = medians
            .iter()
            .map(|(_, median)| *median)
            .fold(0.0, f64::max);
        let bars = medians.into_iter().map(|(make, median)| Bar {
            make,
            share: median / most,
            label: label(measurement, make, figure, median),
        });
        let row = &measurement.row;
        Some(Group {
            title: format!("{} — {}", row.title, figure.title(row.item())),
            bars: bars.collect(),
        })
    }

    fn height(&self) -> f64 {
        TITLE + self.bars.len() as f64 * BAR + GAP
    }

    fn draw(&self, svg: &mut String, top: f64) {
        let _ = writeln!(
            svg,
            r##"<text x="14" y="{}" fill="#1b2733">{}</text>"##,
            top + 12.0,
            escape(&self.title)
        );
        for (index, bar) in self.bars.iter().enumerate() {
            let y = top + TITLE + index as f64 * BAR;
            let length = (bar.share * (WIDTH - LEFT - RIGHT)).max(1.0);
            let baseline = y + BAR - 5.0;
            let _ = writeln!(
                svg,
                r##"<text x="{:.0}" y="{baseline:.1}" text-anchor="end" font-size="11" fill="#44525f">{}</text><rect x="{LEFT}" y="{y:.1}" width="{length:.1}" height="{:.1}" rx="2" fill="{}"/><text x="{:.1}" y="{baseline:.1}" font-size="11" fill="#1b2733">{}</text>"##,
                LEFT - 8.0,
                bar.make.title(),
                BAR - 3.0,
                colour(bar.make),
                LEFT + length + 6.0,
                escape(&bar.label)
            );
        }
    }
}

/// The figure, and for ours how many times it goes into the Go collector's.
fn label(measurement: &Measurement, make: Make, figure: Figure, median: f64) -> String {
    let ratio = match make {
        Make::Tidegate => measurement.ratio(Make::Otelcol, figure),
        Make::Otelcol | Make::Rotel => None,
    };
    match ratio {
        Some((ratio, _)) => format!("{} · {ratio:.1}x cheaper", number(median)),
        None => number(median),
    }
}

fn colour(make: Make) -> &'static str {
    match make {
        Make::Otelcol => "#9aa7b3",
        Make::Rotel => "#d0a46a",
        Make::Tidegate => "#1f7a8c",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_the_markup() {
        assert_eq!(escape("a<b & c"), "a&lt;b &amp; c");
    }
}
