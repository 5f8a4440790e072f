//! From a JSON value to a type, as leniently as Go's decoder.
//!
//! Field names match without regard to case (an exact match first), the last of several spellings wins, `null` leaves
//! the default, and a text takes any scalar, since YAML's typing of `1` or `true` is rarely meant.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

use super::value::number_text;

/// Why a value does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(String);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Decodes `value`; give the type's structs `#[serde(default)]` so that absent and `null` fields have their zero value.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<T, DecodeError> {
    T::deserialize(Lenient(value))
}

struct Lenient(Value);

impl<'de> Deserializer<'de> for Lenient {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), _, _) => visitor.visit_u64(whole),
                (_, Some(whole), _) => visitor.visit_i64(whole),
                (_, _, Some(float)) => visitor.visit_f64(float),
                _ => Err(de::Error::custom(format_args!("number {number} does not fit"))),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(Items(items.into_iter())),
            Value::Object(entries) => visitor.visit_map(Entries { entries: entries.into_iter(), value: None }),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_str(""),
            Value::Bool(truth) => visitor.visit_string(truth.to_string()),
            Value::Number(number) => visitor.visit_string(number_text(&number)),
            other => Lenient(other).deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(Lenient(value)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => visitor.visit_seq(Items(Vec::new().into_iter())),
            value => Lenient(value).deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Null => Lenient(Value::Object(Map::new())).deserialize_any(visitor),
            value => Lenient(value).deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.0 {
            Value::Object(entries) => {
                let entries = fold_keys(entries, fields).into_iter();
                visitor.visit_map(Entries { entries, value: None })
            }
            value => Lenient(value).deserialize_map(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.0.deserialize_enum(name, variants, visitor).map_err(|error| DecodeError(error.to_string()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// Renames keys to the fields that they mean and drops `null`s, which leave a field's default.
fn fold_keys(entries: Map<String, Value>, fields: &[&str]) -> Map<String, Value> {
    let mut folded = Map::with_capacity(entries.len());
    for (key, value) in entries {
        if value.is_null() {
            continue;
        }
        let field = fields
            .iter()
            .find(|field| **field == key)
            .or_else(|| fields.iter().find(|field| field.eq_ignore_ascii_case(&key)));
        folded.insert(field.map_or(key, |field| (*field).to_owned()), value);
    }
    folded
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        self.0.next().map(|item| seed.deserialize(Lenient(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries {
    entries: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        let deserializer: StrDeserializer<'_, DecodeError> = key.as_str().into_deserializer();
        let read = seed.deserialize(deserializer)?;
        self.value = Some((key, value));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Lenient(value)).map_err(|DecodeError(message)| DecodeError(located(&key, message)))
    }
}

/// Puts the path in front: `spec.metadata: invalid type ...`.
fn located(key: &str, message: String) -> String {
    match message.split_once(": ") {
        Some((path, _)) if !path.contains(' ') => format!("{key}.{message}"),
        _ => format!("{key}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sample {
        some_name: String,
        count: i32,
        flag: Option<bool>,
        list: Vec<String>,
        map: BTreeMap<String, String>,
        inner: Option<Box<Sample>>,
    }

    #[test]
    fn keys_match_in_any_case_and_the_last_wins() {
        let sample: Sample = decode(json!({"SOMENAME": "a", "somename": "b", "INNER": {"Count": 3}})).unwrap();
        assert_eq!(sample.some_name, "b");
        assert_eq!(sample.inner.unwrap().count, 3);
    }

    #[test]
    fn keys_of_maps_stay_as_they_are() {
        let sample: Sample = decode(json!({"map": {"SomeName": 1, "somename": true}})).unwrap();
        assert_eq!(sample.map, BTreeMap::from([("SomeName".into(), "1".into()), ("somename".into(), "true".into())]));
    }

    #[test]
    fn null_is_absence() {
        let sample: Sample =
            decode(json!({"someName": null, "list": null, "map": null, "inner": null, "flag": null})).unwrap();
        assert_eq!(sample, Sample::default());
    }

    #[test]
    fn texts_take_any_scalar() {
        let sample: Sample = decode(json!({"someName": 1.5, "list": [1, true, "x"]})).unwrap();
        assert_eq!(sample.some_name, "1.5");
        assert_eq!(sample.list, ["1", "true", "x"]);
    }

    #[test]
    fn errors_say_where() {
        let error = decode::<Sample>(json!({"inner": {"count": "many"}})).unwrap_err();
        assert_eq!(error.to_string(), "inner.count: invalid type: string \"many\", expected i32");
    }
}
