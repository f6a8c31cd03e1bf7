//! `set = { work_mem = "64MB", enable_seqscan = false }`: settings of a transaction, as the document writes them.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::document::Located;

/// Settings in the order of the document.
#[derive(Clone, Debug, Default)]
pub(super) struct SettingsDoc(pub Vec<(String, Located<SettingValue>)>);

/// A value as SQL writes it between quotes.
#[derive(Clone, Debug)]
pub(super) struct SettingValue(pub String);

impl<'de> Deserialize<'de> for SettingsDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SettingsVisitor;

        impl<'de> Visitor<'de> for SettingsVisitor {
            type Value = SettingsDoc;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as `{ work_mem = \"64MB\" }`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SettingsDoc, A::Error> {
                let mut settings = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    settings.push(entry);
                }
                Ok(SettingsDoc(settings))
            }
        }

        deserializer.deserialize_map(SettingsVisitor)
    }
}

impl<'de> Deserialize<'de> for SettingValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl Visitor<'_> for ValueVisitor {
            type Value = SettingValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a truth value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SettingValue, E> {
                Ok(SettingValue(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<SettingValue, E> {
                Ok(SettingValue(if value { "on" } else { "off" }.to_owned()))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<SettingValue, E> {
                Ok(SettingValue(value.to_string()))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

impl JsonSchema for SettingsDoc {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": { "type": ["string", "number", "boolean"] }
        })
    }
}
