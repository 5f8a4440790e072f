//! As a picture (SVG): a bar for each scenario, as long as the ratio to daprd. Readable on light and on dark ground.

use super::Document;
use crate::bench::statistics::Estimate;

/// Of a bar with its name.
const ROW: f64 = 26.0;
const TOP: f64 = 66.0;
/// Where names end and bars begin.
const LEFT: f64 = 360.0;
const RIGHT: f64 = 130.0;
const WIDTH: f64 = 1000.0;

/// A line of the picture; all but the name are ratios to daprd.
struct Bar<'a> {
    name: &'a str,
    ratio: Estimate,
    goal: f64,
    control: Option<f64>,
    met: bool,
}

impl Document {
    /// As SVG; without a daprd there are no bars.
    pub fn plot(&self) -> String {
        let scenarios = self.rows.iter().filter_map(|row| {
            let control = row.control.zip(row.theirs).map(|(control, theirs)| control / theirs);
            Some(Bar { name: &row.name, ratio: row.ratio?, goal: row.goal, control, met: row.met()? })
        });
        let standing = self.standing.iter().filter_map(|row| {
            let theirs = row.theirs.filter(|theirs| *theirs > 0.0)?;
            let mean = row.ours / theirs;
            let ratio = Estimate { mean, low: mean, high: mean };
            Some(Bar { name: &row.name, ratio, goal: row.goal / theirs, control: None, met: row.ours <= row.goal })
        });
        let bars: Vec<Bar<'_>> = scenarios.chain(standing).collect();
        draw(&bars, &self.limits())
    }
}

fn draw(bars: &[Bar<'_>], limits: &str) -> String {
    // What costs more than daprd fills the line; its number says how much.
    let most = bars.iter().map(|bar| bar.ratio.high.max(bar.goal)).fold(0.2, f64::max).min(1.2) * 1.08;
    let x = |ratio: f64| LEFT + (ratio.clamp(0.0, most) / most) * (WIDTH - LEFT - RIGHT);
    let bottom = TOP + ROW * bars.len() as f64;
    let height = bottom + 46.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\">\n<style>\n{STYLE}</style>\n"
    );
    text.push_str("<text class=\"head\" x=\"12\" y=\"22\">Cost as a part of daprd's: shorter is better</text>\n");
    text.push_str(&legend());
    // Lines at round ratios.
    let step = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0].into_iter().find(|step| most / step <= 9.0).unwrap_or(10.0);
    for line in 0..=((most / step) as u32) {
        let (ratio, at) = (f64::from(line) * step, x(f64::from(line) * step));
        text.push_str(&format!("<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\n"));
        text.push_str(&format!(
            "<text class=\"small\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{ratio:.2}</text>\n",
            bottom + 16.0
        ));
    }
    for (place, bar) in bars.iter().enumerate() {
        text.push_str(&line(bar, TOP + ROW * place as f64, &x));
    }
    text.push_str(&format!(
        "<text class=\"small\" x=\"12\" y=\"{}\">{}</text>\n</svg>\n",
        height - 8.0,
        escaped(limits)
    ));
    text
}

/// Grey of the middle: it can be read on white and on black, whatever a viewer prefers.
const STYLE: &str = "text { fill: #6e7781 } .head { font-size: 16px; font-weight: 600 } .small { font-size: 11px }
.met { fill: #2f8f5b } .missed { fill: #c2622d } .grid { stroke: #8c959f; stroke-opacity: 0.3 }
.range { stroke: #8c959f; stroke-width: 2 } .goal { stroke: #a371f7; stroke-width: 2.5 } .control { fill: #ffffff; stroke: #24292f; stroke-width: 1.2 }
";

fn legend() -> String {
    let square =
        |class: &str, x: u32| format!("<rect class=\"{class}\" x=\"{x}\" y=\"34\" width=\"22\" height=\"10\"/>");
    let label = |x: u32, label: &str| format!("<text x=\"{x}\" y=\"44\">{label}</text>\n");
    [
        square("met", 12),
        label(40, "goal met"),
        square("missed", 110),
        label(138, "missed"),
        "<line class=\"goal\" x1=\"206\" x2=\"206\" y1=\"32\" y2=\"47\"/>".to_owned(),
        label(214, "goal"),
        diamond(266.0, 39.0),
        label(278, "bare hyper or tonic (control)"),
        "<path class=\"range\" d=\"M480 39h24m-24 -4v8m24 -8v8\" fill=\"none\"/>".to_owned(),
        label(512, "95 % interval"),
    ]
    .concat()
}

fn diamond(x: f64, y: f64) -> String {
    format!("<path class=\"control\" d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\"/>", y - 5.0)
}

fn line(bar: &Bar<'_>, top: f64, x: &dyn Fn(f64) -> f64) -> String {
    let Estimate { mean, low, high } = bar.ratio;
    let (middle, class) = (top + ROW / 2.0, if bar.met { "met" } else { "missed" });
    let mut text = format!(
        "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>\n",
        LEFT - 10.0,
        middle + 4.5,
        escaped(bar.name),
        middle - 7.0,
        (x(mean) - LEFT).max(1.0)
    );
    if high > low {
        let (low, high) = (x(low), x(high));
        text.push_str(&format!(
            "<path class=\"range\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {0:.1}v8M{high:.1} {0:.1}v8\" fill=\"none\"/>\n",
            middle - 4.0
        ));
    }
    let goal = x(bar.goal);
    text.push_str(&format!(
        "<line class=\"goal\" x1=\"{goal:.1}\" x2=\"{goal:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\n",
        middle - 11.0,
        middle + 11.0
    ));
    if let Some(control) = bar.control {
        text.push_str(&diamond(x(control), middle));
        text.push('\n');
    }
    text.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\">{mean:.3} (goal {:.2})</text>\n",
        WIDTH - RIGHT + 8.0,
        middle + 4.5,
        bar.goal
    ));
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::document;

    #[test]
    fn there_is_a_bar_for_every_ratio_and_names_are_text() {
        let svg = document().plot();
        assert_eq!(svg.matches("height=\"14\"").count(), 2, "{svg}");
        assert!(svg.contains("P1 &lt;invoke&gt;") && svg.contains("0.125 (goal 0.14)"));
        // The marks of the legend come on top.
        assert_eq!(svg.matches("class=\"goal\"").count(), 3);
        assert_eq!(svg.matches("class=\"control\"").count(), 2);
        assert!(svg.trim_end().ends_with("</svg>"));
    }
}
