//! `[[stage]]` as it is written.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::{Located, TextDuration};
use crate::units::Arrivals;

/// `[[stage]]`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct StageDoc {
    /// Name of the stage, as reports show it: `baseline`, `peak`.
    #[schemars(required, with = "String")]
    pub name: Option<Located<String>>,
    /// How long it is measured: `30s`.
    #[schemars(required, with = "TextDuration")]
    pub duration: Option<TextDuration>,
    /// Open loop: transactions per second over all instances, whatever the target answers. A number, or a course over the
    /// stage: `{ ramp = [100, 800] }`, `{ steps = [100, 200] }`, `{ base = 100, spike = 800, at = "10s", for = "5s" }`.
    pub rate: Option<Located<CourseDoc>>,
    /// Closed loop: users over all instances, each of whom waits for the answer. A number, or a course as of `rate`.
    pub clients: Option<Located<CourseDoc>>,
    /// Partly open loop: sessions per second over all instances, each of which makes several `transactions`, one after the
    /// other. A number, or a course as of `rate`.
    pub sessions: Option<Located<CourseDoc>>,
    /// How transactions or sessions arrive: `constant`, in equal gaps, unless said; `poisson`, as independent users come.
    #[schemars(with = "Option<Arrivals>")]
    pub arrivals: Option<Located<Arrivals>>,
    /// With `sessions`: how many transactions each makes. `8`, `{ uniform = [1, 10] }` or `{ geometric = { mean = 5 } }`.
    pub transactions: Option<Located<AmountDoc>>,
    /// With `clients` or `sessions`: time between the end of a transaction and the user's next one, without a connection.
    /// `"200ms"`, `{ uniform = ["100ms", "300ms"] }`, `{ exponential = { mean = "200ms" } }` or
    /// `{ lognormal = { median = "200ms", sigma = 0.8 } }`.
    pub think: Option<Located<PauseDoc>>,
    /// With `rate` or `sessions`: a transaction that could not be started for longer is skipped and counted as such. Without it
    /// each is started, however late.
    pub max_lag: Option<TextDuration>,
}

/// `200`, or a table that says how a level runs over the stage.
#[derive(Clone, Debug)]
pub(in crate::workload) enum CourseDoc {
    Constant(f64),
    Table(CourseTable),
}

/// `{ ramp = [100, 800] }`, `{ steps = [100, 200, 400] }` or `{ base = 100, spike = 800, at = "10s", for = "5s" }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct CourseTable {
    pub ramp: Option<[f64; 2]>,
    pub steps: Option<Vec<f64>>,
    pub base: Option<f64>,
    pub spike: Option<f64>,
    pub at: Option<TextDuration>,
    #[serde(rename = "for")]
    pub lasts: Option<TextDuration>,
}

/// A time that is drawn.
#[derive(Clone, Debug)]
pub(in crate::workload) enum PauseDoc {
    Constant(TextDuration),
    Drawn(DrawnPause),
}

/// A distribution of times: one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct DrawnPause {
    pub uniform: Option<[TextDuration; 2]>,
    pub exponential: Option<MeanTime>,
    pub lognormal: Option<MedianTime>,
}

/// `{ mean = "200ms" }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct MeanTime {
    /// The mean.
    pub mean: TextDuration,
}

/// `{ median = "200ms", sigma = 0.8 }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct MedianTime {
    /// Half of the times are shorter.
    pub median: TextDuration,
    /// Standard deviation of the logarithm, above 0 and at most 10.
    pub sigma: f64,
}

/// A number that is drawn.
#[derive(Clone, Debug)]
pub(in crate::workload) enum AmountDoc {
    Constant(u32),
    Drawn(DrawnAmount),
}

/// A distribution of numbers: one of these.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct DrawnAmount {
    pub uniform: Option<[u32; 2]>,
    pub geometric: Option<MeanNumber>,
}

/// `{ mean = 5 }`
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::workload) struct MeanNumber {
    /// The mean, at least 1.
    pub mean: f64,
}

impl<'de> Deserialize<'de> for CourseDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CourseVisitor;

        impl<'de> Visitor<'de> for CourseVisitor {
            type Value = CourseDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a table such as `{ ramp = [100, 800] }`")
            }

            fn visit_i64<E: Error>(self, level: i64) -> Result<CourseDoc, E> {
                Ok(CourseDoc::Constant(level as f64))
            }

            fn visit_f64<E: Error>(self, level: f64) -> Result<CourseDoc, E> {
                Ok(CourseDoc::Constant(level))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CourseDoc, A::Error> {
                CourseTable::deserialize(MapAccessDeserializer::new(map)).map(CourseDoc::Table)
            }
        }

        deserializer.deserialize_any(CourseVisitor)
    }
}

impl JsonSchema for CourseDoc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Course".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<TextDuration>();
        let level = json_schema!({ "type": "number", "minimum": 0 });
        json_schema!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            {
                "description": "In a straight line from the first level to the second.",
                "type": "object",
                "properties": { "ramp": { "type": "array", "items": level, "minItems": 2, "maxItems": 2 } },
                "required": ["ramp"],
                "additionalProperties": false
            },
            {
                "description": "One level after the other, each for an equal part of the stage.",
                "type": "object",
                "properties": { "steps": { "type": "array", "items": level, "minItems": 1 } },
                "required": ["steps"],
                "additionalProperties": false
            },
            {
                "description": "A base, and another level from `at` on `for` a while.",
                "type": "object",
                "properties": { "base": level, "spike": level, "at": time, "for": time },
                "required": ["base", "spike", "at", "for"],
                "additionalProperties": false
            }
        ] })
    }
}

impl<'de> Deserialize<'de> for PauseDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PauseVisitor;

        impl<'de> Visitor<'de> for PauseVisitor {
            type Value = PauseDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as `\"200ms\"` or a table such as `{ exponential = { mean = \"200ms\" } }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<PauseDoc, E> {
                let value = crate::units::parse_duration(text).map_err(E::custom)?;
                Ok(PauseDoc::Constant(TextDuration { value, span: 0..0 }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PauseDoc, A::Error> {
                DrawnPause::deserialize(MapAccessDeserializer::new(map)).map(PauseDoc::Drawn)
            }
        }

        deserializer.deserialize_any(PauseVisitor)
    }
}

impl JsonSchema for PauseDoc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pause".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<TextDuration>();
        let uniform = one_key(
            "uniform",
            "Every time between two alike.",
            &generator.subschema_for::<[TextDuration; 2]>(),
        );
        let exponential =
            one_key("exponential", "Mostly short, seldom long.", &generator.subschema_for::<MeanTime>());
        let lognormal = one_key(
            "lognormal",
            "What people take to read and to type.",
            &generator.subschema_for::<MedianTime>(),
        );
        json_schema!({ "anyOf": [time, uniform, exponential, lognormal] })
    }
}

impl<'de> Deserialize<'de> for AmountDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;

        impl<'de> Visitor<'de> for AmountVisitor {
            type Value = AmountDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a table such as `{ uniform = [1, 10] }`")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<AmountDoc, E> {
                let number = u32::try_from(number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))?;
                Ok(AmountDoc::Constant(number))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AmountDoc, A::Error> {
                DrawnAmount::deserialize(MapAccessDeserializer::new(map)).map(AmountDoc::Drawn)
            }
        }

        deserializer.deserialize_any(AmountVisitor)
    }
}

impl JsonSchema for AmountDoc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let uniform = one_key(
            "uniform",
            "Every number between two alike, both included.",
            &generator.subschema_for::<[u32; 2]>(),
        );
        let geometric = one_key(
            "geometric",
            "After each there is another one with the same probability.",
            &generator.subschema_for::<MeanNumber>(),
        );
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, uniform, geometric] })
    }
}

/// A table of one key.
fn one_key(key: &str, description: &str, schema: &Schema) -> Schema {
    json_schema!({
        "description": description,
        "type": "object",
        "properties": { key: schema },
        "required": [key],
        "additionalProperties": false
    })
}
