//! Parameters: where each takes its values from.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::document::{DrawDoc, InsertedDoc, Located, ParameterNode, SourceNode};
use super::super::node::{Name, Node};
use super::Walk;
use crate::generate::spec::{RowSpec, ValueSpec};

/// Sources that draw by themselves.
const DRAWN: [&str; 2] = ["key", "query"];
/// Sources that need another parameter, or an earlier transaction.
const DERIVED: [&str; 2] = ["same_row", "inserted"];

impl Walk<'_> {
    pub(super) fn parameter(&mut self, name: &Name<'_>, node: Node<'_>) -> ParameterNode {
        let span = node.span();
        let mut draw = None;
        let source = self.fields(node, name).and_then(|mut fields| {
            if let Some(node) = fields.remove("draw") {
                let span = node.span();
                let read = self.node::<DrawDoc>(node, &[], "");
                draw = read.map(|read| Located { value: read.value, span });
            }
            let place = format!("parameter `{}`", name.get_ref());
            self.source(&place, &span, fields, &[&DRAWN, &DERIVED])
        });
        let name = Located { value: name.get_ref().clone().into_owned(), span: name.span() };
        ParameterNode { name, span, source, draw }
    }

    /// One source of values; `known` are those that can stand here besides generators.
    fn source(
        &mut self,
        place: &str,
        span: &Range<usize>,
        mut fields: DeTable<'_>,
        known: &[&[&str]],
    ) -> Option<SourceNode> {
        if let Some((key, _)) =
            fields.iter().find(|(key, _)| RowSpec::NAMES.contains(&key.get_ref().as_ref()))
        {
            let message = format!("`{}` needs a row, and a parameter has none", key.get_ref());
            let help =
                "for a value of a table's row, write `key = { table = \"…\", column = \"…\" }`".to_owned();
            self.blame(key.span(), message, "for columns only", Some(help));
            return None;
        }
        let names = [&known.concat(), ValueSpec::NAMES].concat();
        match self.only_key(&fields, span, place, &names)?.as_str() {
            "key" => Some(SourceNode::Key(self.node(fields.remove("key")?, &[], place)?.sound()?)),
            "query" => Some(SourceNode::Query(self.node(fields.remove("query")?, &[], place)?.sound()?)),
            "same_row" => {
                Some(SourceNode::SameRow(self.node(fields.remove("same_row")?, &[], place)?.sound()?))
            }
            "inserted" => self.inserted(place, fields.remove("inserted")?),
            _ => {
                let node = Spanned::new(span.clone(), DeValue::Table(fields));
                Some(SourceNode::Value(self.node(node, &[], place)?.sound()?))
            }
        }
    }

    fn inserted(&mut self, place: &str, node: Node<'_>) -> Option<SourceNode> {
        let span = node.span();
        let mut fields = self.fields(node, &Spanned::new(span.clone(), "inserted".into()))?;
        let otherwise = fields.remove("otherwise");
        let node = Spanned::new(span.clone(), DeValue::Table(fields));
        let rows = self.node::<InsertedDoc>(node, &["otherwise"], place)?;
        let Some(otherwise) = otherwise else {
            let help = "say what is drawn until then: `otherwise = { key = { table = \"…\" } }`".to_owned();
            let message = "before the run has inserted anything, there is nothing to draw";
            if !rows.dropped.iter().any(|name| crate::diagnostic::likely(name, ["otherwise"]).is_some()) {
                self.blame(span, message, "`otherwise` is missing", Some(help));
            }
            return None;
        };
        let span = otherwise.span();
        let fields = self.fields(otherwise, &Spanned::new(span.clone(), "otherwise".into()));
        let otherwise = fields.and_then(|fields| self.source("`otherwise`", &span, fields, &[&DRAWN]));
        Some(SourceNode::Inserted { rows: rows.sound()?, otherwise: otherwise.map(Box::new) })
    }
}
