//! `spec.metric.rules`: label values rewritten by regular expressions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;

use super::catalog::Definition;
use crate::config::configuration::metric::MetricRule;

/// A pattern that does not compile; the text is daprd's.
#[derive(Debug, thiserror::Error)]
#[error("failed to compile regex for rule {rule}/{replacement}: {source}")]
pub struct RuleError {
    rule: String,
    replacement: String,
    source: Box<regex::Error>,
}

/// Patterns and their replacements, applied in order.
pub type LabelRule = Vec<(Regex, String)>;

/// All rules, by measure and label.
#[derive(Default)]
pub struct Rules {
    by_label: BTreeMap<String, LabelRule>,
}

impl Rules {
    pub fn compile(rules: &[MetricRule]) -> Result<Self, RuleError> {
        let mut by_label = BTreeMap::new();
        for rule in rules {
            let measure = rule.name.replacen("dapr_", "", 1).replace('_', "/");
            for label in &rule.labels {
                let key = format!("{measure}{}", label.name);
                let mut patterns = LabelRule::new();
                for (replacement, pattern) in &label.regex {
                    let regex = Regex::new(pattern).map_err(|source| RuleError {
                        rule: key.clone(),
                        replacement: replacement.clone(),
                        source: Box::new(source),
                    })?;
                    patterns.push((regex, replacement.clone()));
                }
                by_label.insert(key, patterns);
            }
        }
        Ok(Self { by_label })
    }

    /// The rules of a measure by label position; empty when there is none.
    pub fn for_measure(&self, definition: &Definition) -> Vec<Option<LabelRule>> {
        let measure = definition.measure.replace('_', "/");
        let rules: Vec<_> =
            definition.labels.iter().map(|label| self.by_label.get(&format!("{measure}{label}")).cloned()).collect();
        if rules.iter().all(Option::is_none) { Vec::new() } else { rules }
    }
}

/// `value` after all patterns; an empty value stays empty, as there is no such label in daprd.
pub fn apply<'a>(rule: Option<&LabelRule>, value: &'a str) -> Cow<'a, str> {
    let mut value = Cow::Borrowed(value);
    if value.is_empty() {
        return value;
    }
    for (regex, replacement) in rule.into_iter().flatten() {
        if let Cow::Owned(replaced) = regex.replace_all(&value, replacement) {
            value = Cow::Owned(replaced);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::catalog::Measure;
    use super::*;
    use crate::config::configuration::metric::MetricLabel;

    fn rules(name: &str, label: &str, pattern: &str, replacement: &str) -> Result<Rules, RuleError> {
        Rules::compile(&[MetricRule {
            name: name.into(),
            labels: vec![MetricLabel {
                name: label.into(),
                regex: BTreeMap::from([(replacement.into(), pattern.into())]),
            }],
        }])
    }

    #[test]
    fn a_rule_rewrites_its_label_only() {
        let rules = rules("dapr_http_server_request_count", "path", r"/orders/\d+", "/orders/{id}").unwrap();
        let found = rules.for_measure(Measure::HttpServerRequestCount.definition());
        assert_eq!(apply(found[2].as_ref(), "/orders/42/lines"), "/orders/{id}/lines");
        assert_eq!(apply(found[1].as_ref(), "GET"), "GET");
        assert!(rules.for_measure(Measure::HttpServerLatency.definition()).is_empty());
    }

    #[test]
    fn slashes_and_underscores_are_the_same_in_names() {
        let rules = rules("http/server/request_count", "path", "a", "b").unwrap();
        assert_eq!(rules.for_measure(Measure::HttpServerRequestCount.definition()).len(), 4);
    }

    #[test]
    fn bad_patterns_are_named() {
        let error = rules("m", "path", "(", "x").err().unwrap();
        assert!(error.to_string().starts_with("failed to compile regex for rule mpath/x: "));
    }
}
