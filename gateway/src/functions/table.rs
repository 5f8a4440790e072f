//! Who is meant: functions by name, by Layotto's id, by path and method.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;

use super::slot::Slot;
use crate::config::function::service::Aggregation;

/// Names or routes that a text lists at most.
const LISTED: usize = 20;

/// Finds functions; made anew when the set of them changes.
#[derive(Default)]
pub struct Table {
    names: BTreeMap<String, Arc<Slot>>,
    /// Several functions with one id take turns.
    ids: HashMap<String, Group>,
    /// Routes of one path, by the path; and those of all that is below one.
    exact: HashMap<String, Vec<Route>>,
    below: HashMap<String, Vec<Route>>,
    /// Functions that are called by one name, each for its own paths.
    aggregations: HashMap<String, Vec<Arc<Slot>>>,
}

#[derive(Default)]
struct Group {
    slots: Vec<Arc<Slot>>,
    next: AtomicUsize,
}

struct Route {
    path: String,
    /// Everything below the path, too.
    is_prefix: bool,
    methods: Vec<Method>,
    slot: Arc<Slot>,
}

impl Route {
    fn takes(&self, method: &Method, path: &str) -> bool {
        let is_path = match path.strip_prefix(self.path.as_str()) {
            Some("") => true,
            Some(rest) => self.is_prefix && (rest.starts_with('/') || self.path.is_empty()),
            None => false,
        };
        is_path && (self.methods.is_empty() || self.methods.contains(method))
    }
}

impl Table {
    pub fn new(slots: impl Iterator<Item = Arc<Slot>>, aggregations: &[Aggregation]) -> Self {
        let mut table = Self::default();
        for slot in slots {
            for id in slot.ids() {
                table.ids.entry(id).or_default().slots.push(slot.clone());
            }
            for route in routes(&slot) {
                let paths = if route.is_prefix { &mut table.below } else { &mut table.exact };
                paths.entry(route.path.clone()).or_default().push(route);
            }
            table.names.insert(slot.name().to_owned(), slot);
        }
        for Aggregation { name, functions } in aggregations {
            let members = functions.iter().filter_map(|name| table.names.get(name).cloned()).collect();
            table.aggregations.insert(name.clone(), members);
        }
        table
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.names.values()
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Slot>> {
        self.names.get(name)
    }

    /// The function with this id, or name, or of this group of functions.
    pub fn by_id(&self, id: &str, method: &Method, path: &str) -> Option<&Arc<Slot>> {
        if let Some(group) = self.ids.get(id) {
            let turn = group.next.fetch_add(1, Ordering::Relaxed);
            return group.slots.get(turn % group.slots.len());
        }
        if let Some(slot) = self.names.get(id) {
            return Some(slot);
        }
        let members = self.aggregations.get(id)?;
        let takes = |slot: &&Arc<Slot>| routes(slot).any(|route| route.takes(method, path));
        members.iter().find(takes)
    }

    /// Whether [`Table::by_id`] may find something.
    pub fn has(&self, id: &str) -> bool {
        self.ids.contains_key(id) || self.names.contains_key(id) || self.aggregations.contains_key(id)
    }

    /// The function that has asked for such requests: for exactly this path, else for the longest that it is below.
    pub fn by_route(&self, method: &Method, path: &str) -> Option<&Arc<Slot>> {
        let above = path.rmatch_indices('/').map(|(end, _)| &path[..end]);
        let places = std::iter::once(path).chain(above).chain(std::iter::once(""));
        let below = places.filter_map(|place| self.below.get(place));
        let mut routes = self.exact.get(path).into_iter().chain(below).flatten();
        routes.find(|route| route.takes(method, path)).map(|route| &route.slot)
    }

    /// The routes in words, for those who have missed them.
    pub fn describe_routes(&self) -> String {
        let words = self.names.values().flat_map(routes).map(|route| {
            let methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
            let methods = if methods.is_empty() { "any method".to_owned() } else { methods.join(", ") };
            let rest = if route.is_prefix { "/..." } else { "" };
            format!("{methods} {}{rest}", route.path)
        });
        let count = self.exact.values().chain(self.below.values()).map(Vec::len).sum();
        if count == 0 { "there are none".to_owned() } else { listed(words, count, "; ") }
    }

    /// The ids in words.
    pub fn describe_ids(&self) -> String {
        if self.ids.is_empty() {
            return "there are no functions".to_owned();
        }
        let mut ids: Vec<&str> = self.ids.keys().map(String::as_str).collect();
        ids.sort_unstable();
        let count = ids.len();
        format!("there are {}", listed(ids.into_iter().map(str::to_owned), count, ", "))
    }
}

/// The first of some words, and how many there are beside them.
fn listed(words: impl Iterator<Item = String>, count: usize, between: &str) -> String {
    let first: Vec<String> = words.take(LISTED).collect();
    let rest = count.saturating_sub(first.len());
    let rest = if rest == 0 { String::new() } else { format!("{between}and {rest} more") };
    format!("{}{rest}", first.join(between))
}

fn routes(slot: &Arc<Slot>) -> impl Iterator<Item = Route> {
    slot.manifest().triggers.http.iter().map(|trigger| {
        let given = trigger.path.as_str();
        let prefix = given.strip_suffix("/...").or_else(|| given.strip_suffix("/*"));
        let (path, methods) = (prefix.unwrap_or(given).to_owned(), trigger.methods.clone());
        Route { path, is_prefix: prefix.is_some(), methods, slot: slot.clone() }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::function::Function;
    use crate::config::yaml;

    fn slot(name: &str, spec: &str) -> Arc<Slot> {
        let text = format!("metadata: {{name: \"{name}\"}}\nspec: {{module: a.wasm, {spec}}}\n");
        Arc::new(Slot::new(Function::read(Path::new("/f/a.yaml"), &yaml::parse(&text).unwrap()).unwrap(), None))
    }

    fn name(slot: Option<&Arc<Slot>>) -> &str {
        slot.map_or("", |slot| slot.name())
    }

    #[test]
    fn routes_are_exact_before_they_are_long_before_they_are_short() {
        let slots = [
            slot("all", "triggers: [{http: {path: /...}}]"),
            slot("below", "triggers: [{http: {path: /a/*, method: GET}}]"),
            slot("exact", "triggers: [{http: {path: /a/b, method: [GET]}}]"),
        ];
        let table = Table::new(slots.into_iter(), &[]);
        for (method, path, expected) in [
            (Method::GET, "/a/b", "exact"),
            (Method::GET, "/a/b/c", "below"),
            (Method::GET, "/a", "below"),
            (Method::POST, "/a/b", "all"),
            (Method::GET, "/ab", "all"),
            (Method::GET, "/", "all"),
            (Method::GET, "/a/", "below"),
            (Method::GET, "*", "all"),
        ] {
            assert_eq!(name(table.by_route(&method, path)), expected, "{path}");
        }
    }

    #[test]
    fn texts_name_the_first_of_many() {
        let slots =
            (10..40).map(|number| slot(&number.to_string(), &format!("triggers: [{{http: {{path: /{number}}}}}]")));
        let table = Table::new(slots, &[]);
        assert!(table.describe_ids().starts_with("there are 10, 11, "));
        assert!(table.describe_ids().ends_with("28, 29, and 10 more"), "{}", table.describe_ids());
        assert!(table.describe_routes().ends_with("any method /29; and 10 more"), "{}", table.describe_routes());
    }

    #[test]
    fn functions_with_one_id_take_turns_and_groups_choose_by_path() {
        let slots = [
            slot("a", "handler: id, triggers: [{http: {path: /a}}]"),
            slot("b", "handler: id, triggers: [{http: {path: /b}}]"),
        ];
        let groups = [Aggregation { name: "both".into(), functions: vec!["a".into(), "b".into()] }];
        let table = Table::new(slots.into_iter(), &groups);
        let turn = || name(table.by_id("id", &Method::GET, "/")).to_owned();
        assert_ne!(turn(), turn());
        assert_eq!(name(table.by_id("b", &Method::GET, "/")), "b");
        assert_eq!(name(table.by_id("both", &Method::GET, "/b")), "b");
        assert!(table.by_id("both", &Method::GET, "/c").is_none());
        assert!(table.by_id("none", &Method::GET, "/").is_none());
    }
}
