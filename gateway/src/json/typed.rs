//! Reading members of an object into types, with Go's errors for wrong ones.

use std::collections::BTreeMap;
use std::fmt;

use super::Json;

/// Go's `UnmarshalTypeError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeError(String);

impl TypeError {
    /// A value of the wrong kind at the top, `go_type` as Go prints it (`[]state.SetRequest`).
    pub fn value(found: &Json, go_type: &str) -> Self {
        Self(format!("json: cannot unmarshal {} into Go value of type {go_type}", found_text(found)))
    }

    /// A value that is read by its members and has none, as Go's `mapstructure` says it.
    pub fn no_map(found: &Json) -> Self {
        let kind = match found {
            Json::Bool(_) => "bool",
            Json::Number(_) => "float64",
            Json::Array(_) => "slice",
            _ => "string",
        };
        Self(format!("'' expected a map, got '{kind}'"))
    }

    /// A member of the wrong kind.
    pub fn field(found: &Json, structure: &str, field: &str, go_type: &str) -> Self {
        Self(format!(
            "json: cannot unmarshal {} into Go struct field {structure}.{field} of type {go_type}",
            found_text(found)
        ))
    }
}

/// Go names the number when it does not fit an integer type.
fn found_text(found: &Json) -> String {
    found.kind().to_owned()
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The members of one object that is read as the Go struct `structure`. Names match in any case, an exact match wins.
pub struct Fields<'a> {
    members: &'a BTreeMap<String, Json>,
    structure: &'a str,
}

impl<'a> Fields<'a> {
    /// `None` for null; an error for anything that is no object.
    pub fn of(json: &'a Json, structure: &'a str, go_type: &str) -> Result<Option<Self>, TypeError> {
        match json {
            Json::Null => Ok(None),
            Json::Object(members) => Ok(Some(Self { members, structure })),
            other => Err(TypeError::value(other, go_type)),
        }
    }

    /// The member called `name`, unless it is null.
    pub fn get(&self, name: &str) -> Option<&'a Json> {
        self.members
            .get(name)
            .or_else(|| self.members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
            .filter(|value| **value != Json::Null)
    }

    pub fn string(&self, name: &str) -> Result<Option<String>, TypeError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(TypeError::field(other, self.structure, name, "string")),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>, TypeError> {
        match self.get(name) {
            None => Ok(None),
            Some(found @ Json::Number(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => {
                    let _ = found;
                    Err(TypeError(format!(
                        "json: cannot unmarshal number {text} into Go struct field {}.{name} of type int",
                        self.structure
                    )))
                }
            },
            Some(other) => Err(TypeError::field(other, self.structure, name, "int")),
        }
    }

    pub fn bool(&self, name: &str) -> Result<Option<bool>, TypeError> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(TypeError::field(other, self.structure, name, "bool")),
        }
    }

    /// A map of strings; null members are empty strings, as in Go.
    pub fn string_map(&self, name: &str) -> Result<BTreeMap<String, String>, TypeError> {
        let members = match self.get(name) {
            None => return Ok(BTreeMap::new()),
            Some(Json::Object(members)) => members,
            Some(other) => return Err(TypeError::field(other, self.structure, name, "map[string]string")),
        };
        members
            .iter()
            .map(|(key, value)| match value {
                Json::String(text) => Ok((key.clone(), text.clone())),
                Json::Null => Ok((key.clone(), String::new())),
                other => Err(TypeError::field(other, self.structure, name, "string")),
            })
            .collect()
    }

    pub fn string_list(&self, name: &str) -> Result<Vec<String>, TypeError> {
        let items = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Json::Array(items)) => items,
            Some(other) => return Err(TypeError::field(other, self.structure, name, "[]string")),
        };
        items
            .iter()
            .map(|item| match item {
                Json::String(text) => Ok(text.clone()),
                Json::Null => Ok(String::new()),
                other => Err(TypeError::field(other, self.structure, name, "string")),
            })
            .collect()
    }

    /// The struct's name in Go's errors.
    pub fn structure(&self) -> &'a str {
        self.structure
    }
}
