//! The ratios as a bar chart in SVG.

use std::fmt::Write;

use super::figure::Figure;
use super::measure::Measurement;
use super::program::Make;

const BAR: f64 = 14.0;
const GAP: f64 = 6.0;
const LEFT: f64 = 330.0;
const WIDTH: f64 = 860.0;
const TOP: f64 = 46.0;

/// One bar to a row and program: CPU per item (or scrape), as a share of the dearest in the row.
pub(crate) fn svg(measurements: &[Measurement]) -> String {
    let charted: Vec<_> = measurements.iter().filter_map(bars).collect();
    let groups: f64 = charted
        .iter()
        .map(|(_, bars)| bars.len() as f64 * BAR + GAP * 2.0)
        .sum();
    let height = TOP + groups + GAP;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="12" y="26" font-size="15" font-weight="600" fill="#1b2733">CPU for the same work (shorter is cheaper)</text>
"##
    );
    let mut y = TOP;
    for (title, bars) in &charted {
        let middle = y + bars.len() as f64 * BAR / 2.0 + 4.0;
        let _ = writeln!(
            svg,
            r##"<text x="{}" y="{middle}" text-anchor="end" fill="#1b2733">{}</text>"##,
            LEFT - 10.0,
            escape(title)
        );
        for bar in bars {
            let length = (bar.share * (WIDTH - LEFT - 190.0)).max(1.0);
            let _ = writeln!(
                svg,
                r##"<rect x="{LEFT}" y="{:.1}" width="{length:.1}" height="{:.1}" rx="2" fill="{}"/><text x="{:.1}" y="{:.1}" fill="#44525f" font-size="11">{}</text>"##,
                y,
                BAR - 2.0,
                colour(bar.make),
                LEFT + length + 6.0,
                y + BAR - 4.0,
                escape(&bar.label)
            );
            y += BAR;
        }
        y += GAP * 2.0;
    }
    svg.push_str("</svg>\n");
    svg
}

struct Bar {
    make: Make,
    share: f64,
    label: String,
}

fn bars(measurement: &Measurement) -> Option<(String, Vec<Bar>)> {
    let makes = [Make::Otelcol, Make::Rotel, Make::Tidegate];
    let figure = [Figure::ScrapeCpu, Figure::Cpu]
        .into_iter()
        .find(|&figure| {
            makes
                .iter()
                .any(|&make| measurement.spread(make, figure).is_some())
        })?;
    let medians: Vec<(Make, f64)> = makes
        .into_iter()
        .filter_map(|make| Some((make, measurement.spread(make, figure)?.median)))
        .collect();
    let most = medians
        .iter()
        .map(|(_, median)| *median)
        .fold(0.0, f64::max);
    let unit = if figure == Figure::ScrapeCpu {
        "ms"
    } else {
        "ns"
    };
    let bars = medians.into_iter().map(|(make, median)| Bar {
        make,
        share: median / most,
        label: label(measurement, make, figure, median, unit),
    });
    Some((measurement.row.title.clone(), bars.collect()))
}

fn label(measurement: &Measurement, make: Make, figure: Figure, median: f64, unit: &str) -> String {
    let ratio = match make {
        Make::Tidegate => measurement.ratio(Make::Otelcol, figure),
        Make::Otelcol | Make::Rotel => None,
    };
    match ratio {
        Some((ratio, _)) => format!("{} {median:.0} {unit}, {ratio:.1}x less", make.title()),
        None => format!("{} {median:.0} {unit}", make.title()),
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
