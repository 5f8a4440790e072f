//! `middleware.http.routeralias`: other paths for Dapr's (as daprd 1.18).

use async_trait::async_trait;
use components::metadata::Properties;
use http::{Request, Response, Uri};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use regex::Regex;

use super::{Middleware, Next, SCOPE};
use crate::body::Body;
use crate::config::yaml;

/// What a path may not hold as it is.
const PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}').add(b'%');
/// Go's `url.QueryEscape`, spaces apart.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// Set on a request whose path was replaced. The API server has chosen the route by the path before: what was none of
/// the API's paths is an invocation or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Aliased;

pub struct RouteAlias {
    routes: Vec<Alias>,
}

struct Alias {
    pattern: Regex,
    target: String,
}

impl RouteAlias {
    /// `routes` is a map in JSON or YAML; without it (or with anything beside it) each property is a route.
    pub fn new(properties: &Properties) -> Result<Self, String> {
        let entries: Vec<(String, String)> = match properties.get(&["routes"]).filter(|routes| !routes.is_empty()) {
            Some(routes) if properties.names().count() == 1 => listed(routes)?,
            _ => properties.entries().map(|(from, to)| (from.to_owned(), to.to_owned())).collect(),
        };
        if properties.get(&["routes"]).is_none() && !entries.is_empty() {
            tracing::warn!(
                target: SCOPE,
                "Listing routes as key-value pairs is deprecated. Please use the 'routes' property instead. See: https://docs.dapr.io/reference/components-reference/supported-middleware/middleware-routeralias/"
            );
        }
        let routes = entries.into_iter().map(|(from, to)| Alias::new(&from, to)).collect::<Result<_, _>>()?;
        Ok(Self { routes })
    }

    /// Path and query for a request, when its path has an alias.
    fn rewritten(&self, uri: &Uri) -> Option<Uri> {
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let (alias, captures) = self.routes.iter().find_map(|alias| Some((alias, alias.pattern.captures(&path)?)))?;
        let mut target = utf8_percent_encode(&alias.target, PATH).to_string();
        let variables: Vec<_> = alias
            .pattern
            .capture_names()
            .flatten()
            .filter_map(|name| Some((name.to_owned(), captures.name(name)?.as_str().to_owned())))
            .collect();
        let query = uri.query().unwrap_or_default();
        if variables.is_empty() {
            if !query.is_empty() {
                target = format!("{target}?{query}");
            }
        } else {
            let mut pairs: Vec<(String, String)> = crate::query::query_pairs(query).chain(variables).collect();
            pairs.sort_by(|one, other| one.0.cmp(&other.0));
            let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string().replace(' ', "+");
            let query: Vec<_> = pairs.iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
            target = format!("{target}?{}", query.join("&"));
        }
        target.parse().ok()
    }
}

impl Alias {
    /// `/from/{name}/{other:[0-9]+}`: a variable stands for one segment unless it brings its own pattern.
    fn new(from: &str, target: String) -> Result<Self, String> {
        if from.is_empty() || target.is_empty() {
            return Err("invalid key/value pair in metadata: must not be empty".to_owned());
        }
        let wrong =
            |what: &str| format!("the route '{from}' of middleware.http.routeralias is no path template: {what}");
        let mut pattern = "^".to_owned();
        let mut rest = from;
        while let Some((text, variable)) = rest.split_once('{') {
            let end = closing(variable).ok_or_else(|| wrong("a brace is not closed"))?;
            let (name, expression) = variable[..end].split_once(':').unwrap_or((&variable[..end], "[^/]+"));
            pattern = format!("{pattern}{}(?P<{name}>{expression})", regex::escape(text));
            rest = &variable[end + 1..];
        }
        pattern = format!("{pattern}{}$", regex::escape(rest));
        let pattern = Regex::new(&pattern).map_err(|error| wrong(&error.to_string()))?;
        Ok(Self { pattern, target })
    }
}

/// Where the brace that is open at the beginning is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    for (index, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}

fn listed(routes: &str) -> Result<Vec<(String, String)>, String> {
    let failed = |reason: String| format!("failed to decode 'routes' property as JSON or YAML: {reason}");
    let value = yaml::parse(routes).map_err(|error| failed(error.to_string()))?;
    let Some(members) = value.as_object() else { return Err(failed("it is no map of paths".to_owned())) };
    members
        .iter()
        .map(|(from, to)| {
            let to = to.as_str().ok_or_else(|| failed(format!("the value of '{from}' is no text")))?;
            Ok((from.clone(), to.to_owned()))
        })
        .collect()
}

#[async_trait]
impl Middleware for RouteAlias {
    async fn handle(&self, mut request: Request<Body>, next: Next<'_>) -> Response<Body> {
        if let Some(uri) = self.rewritten(request.uri()) {
            *request.uri_mut() = uri;
            request.extensions_mut().insert(Aliased);
        }
        next.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(entries: &[(&str, &str)]) -> Result<RouteAlias, String> {
        RouteAlias::new(&Properties::new(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))))
    }

    fn rewritten(alias: &RouteAlias, uri: &str) -> Option<String> {
        alias.rewritten(&uri.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn variables_go_into_the_query() {
        let alias = alias(&[(
            "routes",
            r#"{"/user/{id}": "/v1.0/invoke/a/method/users", "/hello": "/v1.0/invoke/a/method/greet"}"#,
        )])
        .unwrap();
        assert_eq!(rewritten(&alias, "/user/4%202?b=c").unwrap(), "/v1.0/invoke/a/method/users?b=c&id=4+2");
        assert_eq!(rewritten(&alias, "/hello?x=1").unwrap(), "/v1.0/invoke/a/method/greet?x=1");
        assert_eq!(rewritten(&alias, "/hello/more"), None);
        assert_eq!(rewritten(&alias, "/user/"), None);
    }

    #[test]
    fn a_variable_may_have_a_pattern() {
        let alias = alias(&[("/n/{id:[0-9]{2}}", "/t"), ("/other", "/u")]).unwrap();
        assert_eq!(rewritten(&alias, "/n/12").unwrap(), "/t?id=12");
        assert_eq!(rewritten(&alias, "/n/123"), None);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(alias(&[("routes", "[1]")]).err().unwrap().starts_with("failed to decode 'routes' property"));
        assert!(alias(&[("/a/{b", "/t"), ("x", "y")]).err().unwrap().contains("/a/{b"));
    }
}
