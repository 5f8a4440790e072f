//! From a method and an escaped path to a route and its parameters (as daprd 1.18, HTTP API server rules).

use crate::query::query_unescape;
use http::Method;

use crate::catalog::{Access, HttpRoute, ROWS, Row};

/// The routes that this sidecar serves.
pub struct Router {
    routes: Vec<Route>,
    has_fallback: bool,
}

struct Route {
    row: &'static Row,
    http: &'static HttpRoute,
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
        let mut routes = Vec::new();
        for row in ROWS {
            for http in row.http {
                let always = row.group == "healthz";
                if !always && !access.allows_http(http, row.group) {
                    continue;
                }
                let mut pattern = vec![Segment::Text(http.version.path())];
                pattern.extend(http.path.split('/').map(|segment| match segment {
                    "*" => Segment::Rest,
                    _ if segment.starts_with('{') => Segment::Parameter,
                    _ => Segment::Text(segment),
                }));
                routes.push(Route { row, http, pattern });
            }
        }
        let has_fallback = routes.iter().any(|route| route.row.operation == "InvokeService");
        Self { routes, has_fallback }
    }

    /// Only health and metadata: the public port.
    pub fn public() -> Self {
        let mut router = Self::new(&Access::default());
        router.routes.retain(|route| matches!(route.row.operation, "Healthz" | "HealthzOutbound" | "GetMetadata"));
        router.has_fallback = false;
        router
    }

    /// `path` is the request's escaped path.
    pub fn find(&self, method: &Method, path: &str) -> Target {
        let clean = clean_path(path);
        let segments: Vec<&str> = clean.split('/').skip(1).collect();
        let best = self
            .routes
            .iter()
            .filter(|route| route.http.methods.is_empty() || route.http.methods.contains(&method.as_str()))
            .filter(|route| matches(&route.pattern, &segments))
            .max_by_key(|route| route.pattern.iter().map(|segment| rank(*segment)).collect::<Vec<_>>());
        let Some(route) = best else {
            return if self.has_fallback { Target::Fallback } else { Target::NotFound };
        };
        let mut parameters = Vec::new();
        for (index, segment) in route.pattern.iter().enumerate() {
            let (name, raw) = match segment {
                Segment::Text(_) => continue,
                Segment::Parameter => (parameter_name(route.http, index), segments[index].to_owned()),
                Segment::Rest => ("*", segments[index..].join("/")),
            };
            match query_unescape(&raw) {
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

fn parameter_name(route: &'static HttpRoute, index: usize) -> &'static str {
    route.path.split('/').nth(index - 1).unwrap_or_default().trim_matches(['{', '}'])
}

fn rank(segment: Segment) -> u8 {
    match segment {
        Segment::Text(_) => 2,
        Segment::Parameter => 1,
        Segment::Rest => 0,
    }
}

fn matches(pattern: &[Segment], segments: &[&str]) -> bool {
    for (index, part) in pattern.iter().enumerate() {
        match (part, segments.get(index)) {
            (Segment::Rest, Some(_)) => return true,
            (Segment::Text(text), Some(segment)) if text == segment => {}
            (Segment::Parameter, Some(_)) => {}
            _ => return false,
        }
    }
    pattern.len() == segments.len()
}

/// Go's `path.Clean` of an absolute path: no doubled slashes, `.` and `..` resolved, no slash at the end.
pub fn clean_path(path: &str) -> String {
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
    format!("/{}", kept.join("/"))
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
