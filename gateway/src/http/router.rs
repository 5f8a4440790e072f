//! From a method and an escaped path to a route and its parameters (as daprd 1.18, HTTP API server rules).

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use http::Method;

use crate::catalog::{Access, HttpRoute, ROWS, Row};
use crate::query::query_unescape;

/// The routes that this sidecar serves.
pub struct Router {
    /// By the segment behind the version, which no route leaves open; the more specific route is in front.
    routes: HashMap<&'static str, Vec<Route>>,
    has_fallback: bool,
}

struct Route {
    row: &'static Row,
    http: &'static HttpRoute,
    /// Behind the version and the segment under which the route is found.
    pattern: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment {
    Text(&'static str),
    Parameter,
    Rest,
}

/// A matched route. Parameters are decoded, in the order of the pattern.
pub struct Match {
    pub row: &'static Row,
    pub parameters: Vec<String>,
}

/// Where a request goes.
pub enum Target {
    Route(Match),
    /// Service invocation by header, or the 404 of it.
    Fallback,
    /// Nothing serves it and nothing else may.
    NotFound,
    /// A parameter's escape is broken: 400 with this text.
    BadEscape(String),
}

impl Router {
    /// All routes that the API access rules leave.
    pub fn new(access: &Access) -> Self {
        Self::of(|row, http| row.group == "healthz" || access.allows_http(http, row.group), true)
    }

    /// Only health and metadata: the public port.
    pub fn public() -> Self {
        Self::of(|row, _| matches!(row.operation, "Healthz" | "HealthzOutbound" | "GetMetadata"), false)
    }

    fn of(serves: impl Fn(&Row, &HttpRoute) -> bool, with_fallback: bool) -> Self {
        let mut routes: HashMap<&'static str, Vec<Route>> = HashMap::new();
        let mut has_fallback = false;
        for row in ROWS {
            for http in row.http.iter().filter(|http| serves(row, http)) {
                let mut segments = http.path.split('/');
                let block = segments.next().unwrap_or_default();
                let pattern = segments.map(Segment::of).collect();
                routes.entry(block).or_default().push(Route { row, http, pattern });
                has_fallback |= with_fallback && row.operation == "InvokeService";
            }
        }
        for routes in routes.values_mut() {
            routes.sort_by_key(|route| Reverse(route.rank()));
        }
        Self { routes, has_fallback }
    }

    /// `path` is the request's escaped path.
    pub fn find(&self, method: &Method, path: &str) -> Target {
        let clean = clean_path(path);
        let mut segments = clean.split('/').skip(1);
        let (version, block) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let rest = clean.get(version.len() + block.len() + 2..).unwrap_or_default();
        let routes = self.routes.get(block).map(Vec::as_slice).unwrap_or_default();
        let found = routes.iter().find(|route| {
            route.http.version.path() == version
                && (route.http.methods.is_empty() || route.http.methods.contains(&method.as_str()))
                && matches(&route.pattern, rest)
        });
        let Some(route) = found else {
            return if self.has_fallback { Target::Fallback } else { Target::NotFound };
        };
        let mut parameters = Vec::new();
        let mut rest = rest;
        for (index, segment) in route.pattern.iter().enumerate() {
            rest = rest.strip_prefix('/').unwrap_or(rest);
            let end = rest.find('/').unwrap_or(rest.len());
            let (name, raw) = match segment {
                Segment::Text(_) => {
                    rest = &rest[end..];
                    continue;
                }
                Segment::Parameter => (parameter_name(route.http, index + 1), &rest[..end]),
                Segment::Rest => ("*", rest),
            };
            rest = &rest[raw.len()..];
            match query_unescape(raw) {
                Ok(value) => parameters.push(value),
                Err(escape) => {
                    return Target::BadEscape(format!(
                        "failed to unescape request parameter \"{name}\". Error: invalid URL escape \"{escape}\""
                    ));
                }
            }
        }
        Target::Route(Match { row: route.row, parameters })
    }
}

impl Route {
    /// Orders routes that take the same path: a text goes before a parameter, and that before the rest of a path.
    fn rank(&self) -> Vec<u8> {
        let rank = |segment: &Segment| match segment {
            Segment::Text(_) => 2,
            Segment::Parameter => 1,
            Segment::Rest => 0,
        };
        self.pattern.iter().map(rank).collect()
    }
}

impl Segment {
    fn of(text: &'static str) -> Self {
        match text {
            "*" => Self::Rest,
            _ if text.starts_with('{') => Self::Parameter,
            _ => Self::Text(text),
        }
    }
}

fn parameter_name(route: &'static HttpRoute, index: usize) -> &'static str {
    route.path.split('/').nth(index).unwrap_or_default().trim_matches(['{', '}'])
}

/// Whether the segments of `rest`, each behind a slash, are those of a pattern.
fn matches(pattern: &[Segment], rest: &str) -> bool {
    let mut segments = rest.split('/').skip(1);
    for part in pattern {
        match (part, segments.next()) {
            (Segment::Rest, Some(_)) => return true,
            (Segment::Text(text), Some(segment)) if *text == segment => {}
            (Segment::Parameter, Some(_)) => {}
            _ => return false,
        }
    }
    segments.next().is_none()
}

/// Go's `path.Clean` of an absolute path: no doubled slashes, `.` and `..` resolved, no slash at the end.
pub fn clean_path(path: &str) -> Cow<'_, str> {
    let is_clean = path == "/"
        || (path.starts_with('/') && path[1..].split('/').all(|segment| !matches!(segment, "" | "." | "..")));
    if is_clean {
        return Cow::Borrowed(path);
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    Cow::Owned(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: Method, path: &str) -> Option<(&'static str, Vec<String>)> {
        match Router::new(&Access::default()).find(&method, path) {
            Target::Route(found) => Some((found.row.operation, found.parameters)),
            _ => None,
        }
    }

    #[test]
    fn paths_are_cleaned_and_parameters_decoded() {
        let found = find(Method::GET, "//v1.0/state/a%2Fb//k+1/").unwrap();
        assert_eq!(found, ("GetState", vec!["a/b".into(), "k 1".into()]));
        assert_eq!(find(Method::GET, "/v1.0/foo/../metadata").unwrap().0, "GetMetadata");
    }

    #[test]
    fn the_more_specific_route_wins_unless_its_method_differs() {
        assert_eq!(find(Method::POST, "/v1.0/state/s/bulk").unwrap().0, "GetBulkState");
        assert_eq!(find(Method::DELETE, "/v1.0/state/s/bulk").unwrap().0, "DeleteState");
        assert_eq!(find(Method::POST, "/v1.0/publish/bulk/p/t").unwrap().0, "BulkPublishEvent");
        assert_eq!(
            find(Method::POST, "/v1.0/publish/p/t/u").unwrap(),
            ("PublishEvent", vec!["p".into(), "t/u".into()])
        );
        assert!(find(Method::POST, "/v1.0/publish/p/").is_none());
        assert!(find(Method::GET, "/v1.0%2Fhealthz").is_none());
    }

    #[test]
    fn broken_escapes_are_told() {
        let target = Router::new(&Access::default()).find(&Method::GET, "/v1.0/state/s/%zz");
        assert!(matches!(target, Target::BadEscape(text) if text.contains("%zz")));
    }
}
