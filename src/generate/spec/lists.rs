//! Maps whose order counts: a category or a field keeps the place that the user gave it; and lengths, which have a short
//! form. Knows how they are read, not what
//! is made of them.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ValueSpec;

/// Categories with their relative weights, in the order of the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights(pub Vec<(String, f64)>);

/// Fields with their generators, in the order of the document.
#[derive(Clone, Debug, Default, PartialEq)]
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

/// How many: `[fewest, most]`, all numbers between them alike, or a generator of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum LengthSpec {
    /// Fewest and most.
    Range([u32; 2]),
    /// By a distribution; what lies below zero is zero.
    Drawn(Box<ValueSpec>),
}

impl<'de> Deserialize<'de> for LengthSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct LengthVisitor;

        impl<'de> Visitor<'de> for LengthVisitor {
            type Value = LengthSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`[fewest, most]` or a generator of whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<LengthSpec, A::Error> {
                <[u32; 2]>::deserialize(SeqAccessDeserializer::new(seq)).map(LengthSpec::Range)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LengthSpec, A::Error> {
                let spec = ValueSpec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(LengthSpec::Drawn(Box::new(spec)))
            }
        }

        from.deserialize_any(LengthVisitor)
    }
}

impl JsonSchema for LengthSpec {
    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let range = generator.subschema_for::<[u32; 2]>();
        let drawn = generator.subschema_for::<ValueSpec>();
        json_schema!({
            "description": "Fewest and most, or a generator of whole numbers.",
            "anyOf": [range, drawn]
        })
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
