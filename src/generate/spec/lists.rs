//! Maps whose order counts: a category or a field keeps the place that the user gave it. Knows how they are read, not what
//! is made of them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::ValueSpec;

/// Categories with their relative weights, in the order of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights(pub Vec<(String, f64)>);

/// Fields with their generators, in the order of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields(pub Vec<(String, ValueSpec)>);

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Entries("a table of weights, such as { US = 48, DE = 20 }", PhantomData))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Entries(
            "a table of generators, such as { size = { uniform = [1, 9] } }",
            PhantomData,
        ))
        .map(Self)
    }
}

struct Entries<V>(&'static str, PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
    type Value = Vec<(String, V)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl JsonSchema for Weights {
    fn schema_name() -> Cow<'static, str> {
        "Weights".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Categories with their relative weights.",
            "additionalProperties": { "type": "number", "exclusiveMinimum": 0 },
            "minProperties": 1
        })
    }
}

impl JsonSchema for Fields {
    fn schema_name() -> Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Fields, each with a generator.",
            "additionalProperties": generator.subschema_for::<ValueSpec>()
        })
    }
}
