//! JSON schema of `workload.toml`, so that editors complete it and explain it. Made from the types that read the document;
//! only what the walk over the document takes apart is joined here.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::document::{
    DrawDoc, GaugeDoc, HeadDoc, InsertedDoc, KeyDoc, MeasureDoc, SameRowDoc, StageDoc, StepDoc, TableDoc,
    TransactionDoc,
};
use crate::generate::spec::{RowSpec, ValueSpec};

/// The schema (draft 7, which editors know).
#[must_use]
pub fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut root = object::<HeadDoc>(&mut generator);
    let properties = properties(&mut root);
    properties.insert("table".to_owned(), tables(&mut generator));
    properties.insert("transaction".to_owned(), transactions(&mut generator));
    properties.insert("measure".to_owned(), measures(&mut generator));
    properties.insert("gauge".to_owned(), gauges(&mut generator));
    properties.insert("stage".to_owned(), stages(&mut generator));
    properties.insert("budget".to_owned(), budget());
    if let Some(required) = root.get_mut("required").and_then(Value::as_array_mut) {
        required.push("transaction".into());
    }
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".to_owned(), "dbdyno workload".into());
    schema.extend(root);
    schema.insert(
        "description".to_owned(),
        "workload.toml: tables, transactions, measures, gauges, stages and budgets".into(),
    );
    schema.insert("definitions".to_owned(), Value::Object(generator.take_definitions(true)));
    Value::Object(schema)
}

fn tables(generator: &mut SchemaGenerator) -> Value {
    let mut table = object::<TableDoc>(generator);
    let alternatives = [alternatives::<RowSpec>(generator), alternatives::<ValueSpec>(generator)].concat();
    let modifiers = [
        (
            "null_fraction",
            json!({
                "description": "Share of the rows in which the column is NULL.",
                "type": "number", "minimum": 0, "maximum": 1
            }),
        ),
        (
            "unique",
            json!({ "description": "Whether no value comes twice. Refused where there are fewer values than rows.", "type": "boolean" }),
        ),
        (
            "correlation",
            json!({
                "description": "How far the order of the rows follows the order of the values, as `pg_stats.correlation` measures it.",
                "type": "number", "minimum": -1, "maximum": 1
            }),
        ),
        (
            "exclusive",
            json!({
                "description": "A name that columns of the table have in common of which each row has a value in one at most: in exactly one where their shares of values, 1 − `null_fraction` each, add up to 1.",
                "type": "string"
            }),
        ),
    ];
    let alternatives = modifiers
        .iter()
        .fold(alternatives, |alternatives, (name, schema)| with_modifier(alternatives, name, schema));
    let columns = json!({
        "description": "What makes each column's values.",
        "type": "object",
        "additionalProperties": { "anyOf": alternatives }
    });
    properties(&mut table).insert("column".to_owned(), columns);
    json!({
        "description": "The tables by name. One without columns is filled by somebody else.",
        "type": "object",
        "additionalProperties": table
    })
}

fn transactions(generator: &mut SchemaGenerator) -> Value {
    let mut transaction = object::<TransactionDoc>(generator);
    let key = one_key("key", "An existing key of a table.", &generator.subschema_for::<KeyDoc>().into());
    let query_text = json!({ "type": "string" });
    let query =
        one_key("query", "A value that a query of the target gives when the run begins.", &query_text);
    let drawn = [vec![key, query], alternatives::<ValueSpec>(generator)].concat();
    let mut inserted = object::<InsertedDoc>(generator);
    let otherwise = json!({
        "description": "Where the value comes from while the run has inserted nothing. With a `key` that is `latest`, what the run inserted counts as the newest rows of that table.",
        "type": "object",
        "anyOf": drawn.clone()
    });
    properties(&mut inserted).insert("otherwise".to_owned(), otherwise);
    if let Some(required) = inserted.get_mut("required").and_then(Value::as_array_mut) {
        required.push("otherwise".into());
    }
    let inserted =
        one_key("inserted", "A value of a row that this run inserted before.", &Value::Object(inserted));
    let sources = [drawn, vec![inserted]].concat();
    let same_row = one_key(
        "same_row",
        "Another column of the row that another parameter draws.",
        &generator.subschema_for::<SameRowDoc>().into(),
    );
    let draw: Value = generator.subschema_for::<DrawDoc>().into();
    let alternatives = [with_modifier(sources, "draw", &draw), vec![same_row]].concat();
    let parameters = json!({
        "description": "Where the values of the statements' `:name` parameters come from.",
        "type": "object",
        "additionalProperties": { "anyOf": alternatives }
    });
    let steps = json!({
        "description": "The statements in order, where one repeats or pauses. Excludes `statements`.",
        "type": "array", "minItems": 1,
        "items": Value::from(generator.subschema_for::<StepDoc>())
    });
    properties(&mut transaction).insert("parameter".to_owned(), parameters);
    properties(&mut transaction).insert("step".to_owned(), steps);
    transaction.insert("oneOf".to_owned(), json!([{ "required": ["statements"] }, { "required": ["step"] }]));
    json!({
        "description": "The mix: weighted units of work.",
        "type": "array", "minItems": 1,
        "items": transaction
    })
}

fn measures(generator: &mut SchemaGenerator) -> Value {
    let mut measure = object::<MeasureDoc>(generator);
    measure.insert("anyOf".to_owned(), json!([{ "required": ["unit"] }, { "required": ["order"] }]));
    json!({
        "description": "What is measured of values that statements return, by name.",
        "type": "object",
        "additionalProperties": measure
    })
}

fn gauges(generator: &mut SchemaGenerator) -> Value {
    json!({
        "description": "Numbers that are read of the target beside the run, by name.",
        "type": "object",
        "additionalProperties": object::<GaugeDoc>(generator)
    })
}

fn stages(generator: &mut SchemaGenerator) -> Value {
    let mut stage = object::<StageDoc>(generator);
    stage.insert("oneOf".to_owned(), json!([{ "required": ["rate"] }, { "required": ["clients"] }, { "required": ["sessions", "transactions"] }]));
    json!({ "description": "The parts of a run, in order.", "type": "array", "items": stage })
}

fn budget() -> Value {
    json!({
        "description": "Limits on metrics: `\"checkout.response.p99\" = \"< 50ms\"`; of `dbdyno run` also on changes against other runs: `\"p99\" = \"< +10% of main\"`, where `main` is a tag of runs, or without `of` those of --baseline.",
        "type": "object",
        "additionalProperties": { "type": ["string", "object"] },
        "examples": [{ "response.p99": "< 50ms", "errors.rate": "< 0.1%", "throughput": ">= 200", "checkout.p99": "< +10% of main" }]
    })
}

/// The schema of a struct, to be added to.
fn object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let schema = T::json_schema(generator).to_value();
    schema.as_object().cloned().expect("the derived schema of a type is an object")
}

fn properties(object: &mut Map<String, Value>) -> &mut Map<String, Value> {
    object
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .expect("the properties of a derived schema are an object")
}

/// The alternatives of an externally tagged enum: objects of one key each.
fn alternatives<T: JsonSchema>(generator: &mut SchemaGenerator) -> Vec<Value> {
    let one_of = object::<T>(generator).remove("oneOf");
    let alternatives = one_of.as_ref().and_then(Value::as_array).cloned();
    alternatives.expect("the derived schema of such an enum is a choice")
}

fn one_key(key: &str, description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": { key: schema },
        "required": [key],
        "additionalProperties": false
    })
}

/// Each alternative with a further key that all of them know.
fn with_modifier(mut alternatives: Vec<Value>, name: &str, schema: &Value) -> Vec<Value> {
    for alternative in &mut alternatives {
        if let Some(properties) = alternative.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert(name.to_owned(), schema.clone());
        }
    }
    alternatives
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of JSON schema that [`json_schema`] uses, and no more: an unknown keyword fails the test.
    fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
        let Value::Object(schema) = schema else { return schema != &Value::Bool(false) };
        let count = |list: &Value| {
            list.as_array().expect("a list").iter().filter(|one| accepts(root, one, value)).count()
        };
        schema.iter().all(|(keyword, said)| match keyword.as_str() {
            "$ref" => {
                let path = said.as_str().expect("a path").trim_start_matches('#');
                accepts(root, root.pointer(path).expect("a definition"), value)
            }
            "type" => match said {
                Value::Array(types) => types.iter().any(|one| is_type(one, value)),
                one => is_type(one, value),
            },
            "oneOf" => count(said) == 1,
            "anyOf" => count(said) > 0,
            "allOf" => count(said) == said.as_array().map_or(0, Vec::len),
            "enum" => said.as_array().expect("a list").contains(value),
            "const" => said == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().expect("a number")),
            "exclusiveMinimum" => {
                value.as_f64().is_none_or(|number| number > said.as_f64().expect("a number"))
            }
            "maximum" => value.as_f64().is_none_or(|number| number <= said.as_f64().expect("a number")),
            "minItems" => {
                value.as_array().is_none_or(|list| list.len() as u64 >= said.as_u64().expect("a count"))
            }
            "maxItems" => {
                value.as_array().is_none_or(|list| list.len() as u64 <= said.as_u64().expect("a count"))
            }
            "minProperties" => {
                value.as_object().is_none_or(|object| object.len() as u64 >= said.as_u64().expect("a count"))
            }
            "items" => value.as_array().is_none_or(|list| list.iter().all(|item| accepts(root, said, item))),
            "required" => value.as_object().is_none_or(|object| {
                let keys = said.as_array().expect("a list").iter().filter_map(Value::as_str);
                keys.into_iter().all(|key| object.contains_key(key))
            }),
            "properties" => value.as_object().is_none_or(|object| {
                let known = said.as_object().expect("an object");
                known.iter().all(|(key, one)| object.get(key).is_none_or(|value| accepts(root, one, value)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|object| {
                let known = schema.get("properties").and_then(Value::as_object);
                let more =
                    object.iter().filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                more.into_iter().all(|(_, value)| accepts(root, said, value))
            }),
            "$schema" | "title" | "description" | "definitions" | "default" | "format" | "examples"
            | "pattern" => true,
            other => panic!("the schema uses `{other}`, which this test does not know"),
        })
    }

    fn is_type(name: &Value, value: &Value) -> bool {
        match name.as_str().expect("a name") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            other => panic!("no type is called `{other}`"),
        }
    }

    fn is_accepted(document: &str) -> bool {
        let value: Value = toml::from_str(document).expect("a document in TOML");
        let schema = json_schema();
        accepts(&schema, &schema, &value)
    }

    #[test]
    fn the_schema_accepts_what_is_read() {
        assert!(is_accepted(&crate::workload::tests::document_with_more()));
        for folder in crate::workload::tests::repository_workloads() {
            let path = folder.join("workload.toml");
            assert!(is_accepted(&std::fs::read_to_string(&path).expect("a document")), "{}", path.display());
        }
        for document in crate::workload::tests::documented_columns() {
            assert!(is_accepted(&document), "{document}");
        }
    }

    #[test]
    fn the_schema_rejects_what_is_rejected() {
        let document = crate::workload::tests::document_with_more();
        for (good, bad) in [
            ("name = \"shop\"", ""),
            ("weight = 60", "wieght = 60"),
            ("sequence = { start", "sequnce = { start"),
            ("null_fraction = 0.02", "null_fraction = 2"),
            ("null_fraction = 0.02", "unique = 1"),
            ("null_fraction = 0.02", "correlation = -1.5"),
            ("rows = 200", "rows = \"200\""),
            ("rate = 200", ""),
            ("draw = \"each\"", "draw = \"twice\""),
            ("times = { uniform = [1, 4] }", "times = { uniform = 4 }"),
            ("zipf = 1.1", "zpf = 1.1"),
            ("same_row = { as = \"order_id\"", "same_row = { of = \"order_id\""),
            ("otherwise = ", "else = "),
            ("share_of_keys = 0.1", "share_of_keys = 2"),
            ("column = \"line_number\"\n", ""),
            ("unit = \"count\"\norder = \"ascending\"\n", ""),
            ("order = \"ascending\"", "order = \"upwards\""),
            ("every = \"500ms\"", "every = 500"),
            ("spike = 800.5, ", ""),
            ("ramp = [0, 64]", "ramp = [0, 64, 1]"),
            ("ramp = [0, 64]", "ramp = [0, 64], steps = [1]"),
            ("arrivals = \"poisson\"", "arrivals = \"random\""),
            ("transactions = { uniform = [1, 10] }", ""),
            ("uniform = [\"100ms\", \"300ms\"]", "normal = [\"100ms\", \"300ms\"]"),
        ] {
            assert!(document.contains(good), "{good}");
            assert!(!is_accepted(&document.replacen(good, bad, 1)), "{good} → {bad}");
        }
    }

    #[test]
    fn every_key_is_explained() {
        let schema = json_schema();
        for table in [
            "/properties/transaction/items",
            "/properties/stage/items",
            "/properties/measure/additionalProperties",
            "/properties/gauge/additionalProperties",
        ] {
            let properties = schema.pointer(&format!("{table}/properties")).expect("its properties");
            for (key, property) in properties.as_object().expect("an object") {
                assert!(property.get("description").is_some(), "{table} {key}");
            }
        }
    }
}
