//! The `path` label of HTTP metrics: configured patterns, else a form in which keys and ids are cut out.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::config::configuration::MetricSpec;

/// Paths that keep their own label whatever the settings.
const STATIC_PATHS: [&str; 4] = ["/dapr/config", "/dapr/metrics", "/dapr/subscribe", "/healthz"];

/// How paths become labels.
pub struct PathLabels {
    /// Paths without a pattern get the cut form in place of an empty label.
    pub increased_cardinality: bool,
    pub excludes_verbs: bool,
    patterns: Option<Patterns>,
}

impl PathLabels {
    pub fn new(spec: &MetricSpec) -> Self {
        let increased_cardinality = spec.increased_cardinality();
        Self {
            increased_cardinality,
            excludes_verbs: spec.excludes_verbs(),
            patterns: Patterns::new(spec.path_matching(), increased_cardinality),
        }
    }

    /// The label of a request to the API server.
    pub fn server<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.patterns.is_some() {
            self.label(normalize(path))
        } else if self.increased_cardinality {
            // As daprd, which cuts twice.
            self.label(cut(path))
        } else {
            Cow::Borrowed("")
        }
    }

    /// The label of a request to the app.
    pub fn client<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let label = self.label(Cow::Borrowed(path));
        if self.patterns.is_some() || self.increased_cardinality { cut_cow(label) } else { label }
    }

    pub fn method<'a>(&self, method: &'a str) -> &'a str {
        const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
        match method {
            _ if self.excludes_verbs => "",
            known if KNOWN.contains(&known) => known,
            _ => "UNKNOWN",
        }
    }

    fn label<'a>(&self, path: Cow<'a, str>) -> Cow<'a, str> {
        if STATIC_PATHS.contains(&&*path) {
            return path;
        }
        if let Some(patterns) = &self.patterns {
            match patterns.find(&path) {
                Some(Match::Pattern(pattern)) if !self.increased_cardinality || pattern != path => {
                    return Cow::Owned(pattern.to_owned());
                }
                _ => {}
            }
            let shorter = cut(&path);
            if shorter != path
                && let Some(Match::Pattern(pattern)) = patterns.find(&shorter)
                && pattern != "/"
            {
                return Cow::Owned(pattern.to_owned());
            }
        }
        if self.increased_cardinality { cut_cow(path) } else { Cow::Borrowed("") }
    }
}

/// Patterns in the syntax of Go's `ServeMux`, as a tree of segments.
struct Patterns {
    root: Node,
    /// There is no pattern `/`; what matches nothing stays as it is.
    falls_back: bool,
}

#[derive(Default)]
struct Node {
    literals: HashMap<String, Node>,
    wildcard: Option<Box<Node>>,
    /// The pattern that takes the rest of the path: `{name...}` or a trailing slash.
    rest: Option<String>,
    /// The pattern that ends here.
    end: Option<String>,
}

enum Match<'a> {
    Pattern(&'a str),
    Fallback,
}

impl Patterns {
    fn new(patterns: &[String], legacy: bool) -> Option<Self> {
        if patterns.is_empty() {
            return None;
        }
        let mut root = Node::default();
        let mut has_root = false;
        for pattern in patterns {
            let pattern = normalize(pattern).into_owned();
            has_root |= pattern == "/";
            if !pattern.starts_with("/v1.0/invoke/") {
                root.insert(&format!("/v1.0/invoke/{{app_id}}/method{pattern}"));
            }
            root.insert(&pattern);
        }
        Some(Self { root, falls_back: !has_root && legacy })
    }

    fn find(&self, path: &str) -> Option<Match<'_>> {
        if path.is_empty() {
            return None;
        }
        let path = normalize(path);
        let mut found = self.root.find(&path);
        if !path.ends_with('/') && !found.is_some_and(|pattern| is_exact(pattern, &path)) {
            // A path that lacks only the slash at the end of a pattern belongs to it.
            let with_slash = format!("{path}/");
            found = self.root.find(&with_slash).filter(|pattern| is_exact(pattern, &with_slash)).or(found);
        }
        match found {
            Some(pattern) => Some(Match::Pattern(pattern)),
            None => self.falls_back.then_some(Match::Fallback),
        }
    }
}

/// Whether `pattern`, which matches `path`, leaves nothing of it to a trailing slash or `{name...}`.
fn is_exact(pattern: &str, path: &str) -> bool {
    let open = pattern.ends_with('/') || pattern.ends_with("...}");
    !open || (path.ends_with('/') && pattern.matches('/').count() == path.matches('/').count())
}

impl Node {
    fn insert(&mut self, pattern: &str) {
        let mut node = self;
        let segments: Vec<&str> = pattern[1..].split('/').collect();
        let last = segments.len() - 1;
        for (index, segment) in segments.iter().enumerate() {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match name {
                None if segment.is_empty() && index == last => {
                    node.rest = Some(pattern.to_owned());
                    return;
                }
                Some(name) if index == last && name.ends_with("...") => {
                    node.rest = Some(pattern.to_owned());
                    return;
                }
                Some("$") if index == last => node = node.literals.entry("/".to_owned()).or_default(),
                Some(_) => node = node.wildcard.get_or_insert_default(),
                None => node = node.literals.entry((*segment).to_owned()).or_default(),
            }
        }
        node.end = Some(pattern.to_owned());
    }

    /// The most specific pattern for `path`, which is empty or begins with a slash.
    fn find(&self, path: &str) -> Option<&str> {
        let Some(rest) = path.strip_prefix('/') else { return self.end.as_deref() };
        let (segment, after) =
            if rest.is_empty() { ("/", "") } else { rest.split_at(rest.find('/').unwrap_or(rest.len())) };
        self.literals
            .get(segment)
            .and_then(|node| node.find(after))
            .or_else(|| match (&self.wildcard, segment) {
                (Some(node), segment) if segment != "/" => node.find(after),
                _ => None,
            })
            .or(self.rest.as_deref())
    }
}

/// One slash at the start and no two in a row.
fn normalize(path: &str) -> Cow<'_, str> {
    if path.starts_with('/') && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len() + 1);
    out.push('/');
    for c in path.chars() {
        if c != '/' || !out.ends_with('/') {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn cut_cow(path: Cow<'_, str>) -> Cow<'_, str> {
    match path {
        Cow::Borrowed(path) => cut(path),
        Cow::Owned(path) => Cow::Owned(cut(&path).into_owned()),
    }
}

/// The path without keys and ids, as daprd's labels of increased cardinality have it.
fn cut(path: &str) -> Cow<'_, str> {
    if path.is_empty() {
        return Cow::Borrowed(path);
    }
    match normalize(path) {
        Cow::Borrowed(path) => cut_normal(path),
        Cow::Owned(path) => Cow::Owned(cut_normal(&path).into_owned()),
    }
}

fn cut_normal(path: &str) -> Cow<'_, str> {
    let mut parts = path[1..].splitn(6, '/');
    let (Some(first), Some(second), Some(third)) = (parts.next(), parts.next(), parts.next()) else {
        return Cow::Borrowed(path);
    };
    let others: [Option<&str>; 3] = [parts.next(), parts.next(), parts.next()];
    if first == "actors" {
        // A callback of the app, which daprd writes without a leading slash.
        let mut label = format!("{first}/{second}/{{id}}");
        for part in others.into_iter().flatten() {
            label.push('/');
            label.push_str(part);
        }
        return Cow::Owned(label);
    }
    match (second, others) {
        ("state" | "secrets", _) => Cow::Borrowed(&path[..first.len() + second.len() + third.len() + 3]),
        ("actors", [Some(_), Some(verb), _]) => Cow::Owned(format!("/{first}/{second}/{third}/{{id}}/{verb}")),
        ("workflows", [Some(_), None, _]) => Cow::Owned(format!("/{first}/{second}/{third}/{{instanceId}}")),
        ("workflows", [Some(name), Some(verb), None]) if verb.starts_with("start") => {
            Cow::Owned(format!("/{first}/{second}/{third}/{name}/start"))
        }
        ("workflows", [Some(_), Some("raiseEvent"), Some(event)]) if !event.is_empty() => {
            Cow::Owned(format!("/{first}/{second}/{third}/{{instanceId}}/raiseEvent/{{eventName}}"))
        }
        ("workflows", [Some(_), Some(verb), _]) => {
            Cow::Owned(format!("/{first}/{second}/{third}/{{instanceId}}/{verb}"))
        }
        _ => Cow::Borrowed(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    fn labels(http: serde_json::Value) -> PathLabels {
        PathLabels::new(&decode(json!({"http": http})).unwrap())
    }

    #[test]
    fn keys_and_ids_are_cut_out() {
        let labels = labels(json!({}));
        for (path, label) in [
            ("/v1.0/state/mem/a/b", "/v1.0/state/mem"),
            ("/v1.0/state/mem", "/v1.0/state/mem"),
            ("/v1.0/secrets/s/name", "/v1.0/secrets/s"),
            ("/v1.0/actors/T/1/method/m", "/v1.0/actors/T/{id}/method"),
            ("/v1.0/invoke/app/method/a/b", "/v1.0/invoke/app/method/a/b"),
            ("/v1.0/workflows/dapr/i1", "/v1.0/workflows/dapr/{instanceId}"),
            ("/v1.0/workflows/dapr/flow/start", "/v1.0/workflows/dapr/flow/start"),
            ("/v1.0/workflows/dapr/i1/terminate", "/v1.0/workflows/dapr/{instanceId}/terminate"),
            ("/v1.0/workflows/dapr/i1/raiseEvent/e", "/v1.0/workflows/dapr/{instanceId}/raiseEvent/{eventName}"),
            ("//v1.0//state/mem/x", "/v1.0/state/mem"),
            ("/", "/"),
        ] {
            assert_eq!(labels.server(path), label);
        }
        assert_eq!(labels.client("actors/T/1/method/m"), "/actors/T/{id}/method/m".trim_start_matches('/'));
    }

    #[test]
    fn low_cardinality_has_no_paths_but_the_static_ones() {
        let labels = labels(json!({"increasedCardinality": false}));
        assert_eq!(labels.server("/v1.0/state/mem/a"), "");
        assert_eq!(labels.client("/some"), "");
        assert_eq!(labels.client("/dapr/config"), "/dapr/config");
    }

    #[test]
    fn patterns_come_first_and_cover_invocation() {
        let patterns = json!(["/orders/{orderID}", "/orders/new", "/files/{path...}", "/v1.0/state/mem/{key}"]);
        let low = labels(json!({"increasedCardinality": false, "pathMatching": patterns}));
        for (path, label) in [
            ("/orders/42", "/orders/{orderID}"),
            ("/orders/new", "/orders/new"),
            ("/orders/42/lines", ""),
            ("/orders/", ""),
            ("/files/a/b/c", "/files/{path...}"),
            ("/v1.0/state/mem/k", "/v1.0/state/mem/{key}"),
            ("/v1.0/invoke/shop/method/orders/7", "/v1.0/invoke/{app_id}/method/orders/{orderID}"),
        ] {
            assert_eq!(low.server(path), label, "{path}");
        }
        let high = labels(json!({"pathMatching": patterns}));
        assert_eq!(high.server("/v1.0/state/other/k"), "/v1.0/state/other");
        assert_eq!(high.server("/orders/42"), "/orders/{orderID}");
    }

    #[test]
    fn trailing_slashes_take_everything_below() {
        let labels = labels(json!({"increasedCardinality": false, "pathMatching": ["/tree/", "/leaf/{$}"]}));
        assert_eq!(labels.server("/tree/a/b"), "/tree/");
        assert_eq!(labels.server("/tree"), "/tree/");
        assert_eq!(labels.server("/leaf/"), "/leaf/{$}");
        assert_eq!(labels.server("/leaf/x"), "");
    }

    #[test]
    fn verbs_can_be_left_out() {
        assert_eq!(labels(json!({"excludeVerbs": true})).method("GET"), "");
        assert_eq!(labels(json!({})).method("PURGE"), "UNKNOWN");
    }
}
