//! Prometheus' text format 0.0.4.

use std::fmt::Write;

use super::catalog::Kind;
use super::family::{Family, Snapshot};

/// Media type of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Writes every family that has a series.
pub fn write_families(page: &mut String, families: &[Family]) {
    for family in families {
        let all = family.sorted();
        if all.is_empty() {
            continue;
        }
        let definition = family.measure.definition();
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Latency | Kind::Fixed(_) => "histogram",
        };
        write_head(page, definition.name, kind, definition.help);
        for series in all {
            let name = definition.name;
            let mut labels = String::new();
            for (label, value) in definition.labels.iter().zip(series.labels.iter()) {
                if !labels.is_empty() {
                    labels.push(',');
                }
                push_label(&mut labels, label, value);
            }
            // Writing to a string cannot fail.
            let _ = match series.snapshot() {
                Snapshot::Counter(count) => writeln!(page, "{name}{{{labels}}} {}", number(to_float(count))),
                Snapshot::Gauge(value) => writeln!(page, "{name}{{{labels}}} {value}"),
                Snapshot::Histogram { buckets, sum, count } => {
                    for (bound, below) in buckets {
                        let bound = number(bound);
                        let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
                    }
                    let _ = writeln!(page, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
                    let _ = writeln!(page, "{name}_sum{{{labels}}} {}", number(sum));
                    writeln!(page, "{name}_count{{{labels}}} {count}")
                }
            };
        }
    }
}

/// Writes the two comment lines of a metric.
pub fn write_head(page: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

#[expect(clippy::cast_precision_loss, reason = "the format has floats only")]
fn to_float(count: u64) -> f64 {
    count as f64
}

fn push_label(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as Prometheus' own writer prints it: `1.048576e+06`, but `100000`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..EXPONENT_FROM).contains(&size) {
        let text = format!("{value:e}");
        if let Some((mantissa, exponent)) = text.split_once('e') {
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            return format!("{mantissa}e{sign}{digits:0>2}");
        }
    }
    format!("{value}")
}

/// From here on there is an exponent.
const EXPONENT_FROM: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;
    use crate::config::configuration::MetricSpec;

    #[test]
    fn numbers_are_written_as_by_prometheus() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.021409, "0.021409"),
            (100_000.0, "100000"),
            (1_048_576.0, "1.048576e+06"),
            (4_294_967_296.0, "4.294967296e+09"),
            (92_356_608.0, "9.2356608e+07"),
            (0.000_05, "5e-05"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let metrics = Metrics::new("a\"b\\c\nd", "", &MetricSpec::default());
        metrics.component_loaded();
        assert!(metrics.render().contains(r#"dapr_runtime_component_loaded{app_id="a\"b\\c\nd"} 1"#));
    }

    #[test]
    fn histograms_have_buckets_sum_and_count() {
        let spec = MetricSpec { latency_distribution_buckets: Some(vec![5, 50]), ..MetricSpec::default() };
        let metrics = Metrics::new("shop", "", &spec);
        metrics.http_health_probe(200, std::time::Duration::from_millis(7));
        let page = metrics.render();
        let found: Vec<_> = page.lines().filter(|line| line.contains("healthprobes_roundtrip")).skip(2).collect();
        assert_eq!(
            found,
            [
                r#"dapr_http_healthprobes_roundtrip_latency_bucket{app_id="shop",status="200",le="5"} 0"#,
                r#"dapr_http_healthprobes_roundtrip_latency_bucket{app_id="shop",status="200",le="50"} 1"#,
                r#"dapr_http_healthprobes_roundtrip_latency_bucket{app_id="shop",status="200",le="+Inf"} 1"#,
                r#"dapr_http_healthprobes_roundtrip_latency_sum{app_id="shop",status="200"} 7"#,
                r#"dapr_http_healthprobes_roundtrip_latency_count{app_id="shop",status="200"} 1"#,
            ]
        );
    }
}
