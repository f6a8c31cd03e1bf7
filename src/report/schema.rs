//! The JSON schema of reports, made from the types of the model: what a program may rely on. Additions keep its version.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::model::{CompareReport, Report, SCHEMA_VERSION};

/// The schema (draft 2020-12) of what `--json` and `report --format json` write.
#[must_use]
pub fn of_reports() -> Value {
    of::<Report>("dbdyno report")
}

/// The schema of what `compare --json` writes.
#[must_use]
pub fn of_comparisons() -> Value {
    of::<CompareReport>("dbdyno comparison of stored runs")
}

fn of<T: JsonSchema>(title: &str) -> Value {
    // As it is written: what is left out where it is empty is not required.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
        root.insert("version".to_owned(), SCHEMA_VERSION.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::{of_comparisons, of_reports};
    use crate::report::{fixture, json};

    fn validator(schema: &serde_json::Value) -> jsonschema::Validator {
        jsonschema::validator_for(schema).expect("a schema that a validator reads")
    }

    #[test]
    fn every_kind_of_report_keeps_to_the_published_schema() {
        let schema = of_reports();
        let validator = validator(&schema);
        for (name, report) in fixture::all() {
            let value = serde_json::from_str(&json(&report)).expect("JSON");
            let wrong: Vec<String> = validator
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let validator = validator(&of_reports());
        let mut value: serde_json::Value = serde_json::from_str(&json(&fixture::healthy())).expect("JSON");
        value["findings"][0]["severity"] = "dreadful".into();
        assert!(!validator.is_valid(&value), "a severity that there is not");
        let mut value: serde_json::Value = serde_json::from_str(&json(&fixture::healthy())).expect("JSON");
        value.as_object_mut().expect("an object").remove("verdict");
        assert!(!validator.is_valid(&value), "a report without a verdict");
    }

    #[test]
    fn the_schema_explains_every_key_of_a_report() {
        for schema in [of_reports(), of_comparisons()] {
            let properties = schema["properties"].as_object().expect("properties");
            for (key, property) in properties {
                let explained = property["description"].as_str().is_some_and(|words| words.len() > 8);
                assert!(explained || property.get("$ref").is_some(), "{key}: {property}");
            }
        }
    }
}
