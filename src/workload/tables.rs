//! Compiles the tables of the document: generators built, tables in the order in which they can be filled.

use std::ops::Range;

use super::document::{ColumnNode, TableNode};
use super::{Column, Table};
use crate::diagnostic::Mistakes;
use crate::generate::ColumnGenerator;
use crate::generate::spec::{Refusal, ScopeColumn, ScopeTable};

/// The tables, each after those that it refers to. What cannot be built is in `mistakes` and left out.
pub(super) fn compile(nodes: &[TableNode], source: usize, mistakes: &mut Mistakes) -> Vec<Table> {
    let nodes: Vec<&TableNode> = nodes.iter().collect();
    let built = build(&nodes, source, mistakes);
    let refers_to: Vec<Vec<usize>> = built
        .iter()
        .enumerate()
        .map(|(table, columns)| {
            let all = columns.iter().flatten().flat_map(ColumnGenerator::refers_to);
            all.filter(|other| *other != table).collect()
        })
        .collect();
    let order = match order(&refers_to) {
        Ok(order) => order,
        Err(cycle) => {
            blame_cycle(&nodes, &cycle, source, mistakes);
            (0..nodes.len()).collect()
        }
    };
    if order.iter().copied().eq(0..nodes.len()) || !mistakes.is_empty() {
        return join(&nodes, built);
    }
    // References are indexes: in another order of the tables they are other indexes.
    let ordered: Vec<&TableNode> = order.iter().map(|table| nodes[*table]).collect();
    let built = build(&ordered, source, mistakes);
    join(&ordered, built)
}

/// The generators of all columns of all tables; a refused one is blamed and absent.
fn build(nodes: &[&TableNode], source: usize, mistakes: &mut Mistakes) -> Vec<Vec<Option<ColumnGenerator>>> {
    let scope: Vec<ScopeTable> = nodes
        .iter()
        .map(|node| ScopeTable {
            name: node.name.clone(),
            // A table without rows was blamed already.
            rows: node.rows.max(1),
            columns: node.columns.iter().map(scope_column).collect(),
        })
        .collect();
    let mut tables = Vec::with_capacity(nodes.len());
    for (table, node) in nodes.iter().enumerate() {
        let mut columns = Vec::with_capacity(node.columns.len());
        for (column, described) in node.columns.iter().enumerate() {
            let built = described
                .spec
                .as_ref()
                .map(|spec| ColumnGenerator::build(spec, &described.modifiers, &scope, table, column));
            columns.push(match built {
                Some(Ok(generator)) => Some(generator),
                Some(Err(refusal)) => {
                    let span = place(mistakes.text(source), &described.span, &refusal);
                    mistakes.at(source, span, refusal.message, refusal.label, refusal.help);
                    None
                }
                None => None,
            });
        }
        tables.push(columns);
    }
    tables
}

fn scope_column(column: &ColumnNode) -> ScopeColumn {
    ScopeColumn { name: column.name.clone(), spec: column.spec.clone(), modifiers: column.modifiers.clone() }
}

/// The generator says what it refuses, not where: the bytes of the text that it points into, or the text that it quotes, if
/// it stands in the description just once.
fn place(document: &str, span: &Range<usize>, refusal: &Refusal) -> Range<usize> {
    if let Some((text, bytes)) = &refusal.at
        && let Some(start) = find_once(document, span, text)
    {
        return start + bytes.start..start + bytes.end;
    }
    let mut places = refusal.message.split('`').skip(1).step_by(2).filter_map(|word| {
        let written = format!("\"{word}\"");
        let start = find_once(document, span, &written)?;
        Some(start..start + written.len())
    });
    places.next().unwrap_or_else(|| span.clone())
}

fn find_once(document: &str, span: &Range<usize>, text: &str) -> Option<usize> {
    let description = &document[span.clone()];
    let start = span.start + description.find(text)?;
    (!text.is_empty() && description.matches(text).count() == 1).then_some(start)
}

fn join(nodes: &[&TableNode], built: Vec<Vec<Option<ColumnGenerator>>>) -> Vec<Table> {
    nodes
        .iter()
        .zip(built)
        .map(|(node, generators)| Table {
            name: node.name.clone(),
            rows_at_scale_1: node.rows,
            scales: node.scales,
            aged: node.aged,
            columns: node
                .columns
                .iter()
                .zip(generators)
                .filter_map(|(column, generator)| {
                    let generator = generator?;
                    Some(Column { name: column.name.clone(), generator, span: column.span.clone() })
                })
                .collect(),
            span: node.span.clone(),
        })
        .collect()
}

/// An order in which each comes after those that it refers to, near the given one; or a cycle, its first repeated last.
fn order(refers_to: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut order = Vec::with_capacity(refers_to.len());
    let mut path = Vec::new();
    for table in 0..refers_to.len() {
        visit(table, refers_to, &mut order, &mut path)?;
    }
    Ok(order)
}

fn visit(
    table: usize,
    refers_to: &[Vec<usize>],
    order: &mut Vec<usize>,
    path: &mut Vec<usize>,
) -> Result<(), Vec<usize>> {
    if order.contains(&table) {
        return Ok(());
    }
    if let Some(at) = path.iter().position(|open| *open == table) {
        return Err(path[at..].iter().copied().chain([table]).collect());
    }
    path.push(table);
    for other in &refers_to[table] {
        visit(*other, refers_to, order, path)?;
    }
    path.pop();
    order.push(table);
    Ok(())
}

fn blame_cycle(nodes: &[&TableNode], cycle: &[usize], source: usize, mistakes: &mut Mistakes) {
    let names: Vec<&str> = cycle.iter().map(|table| nodes[*table].name.as_str()).collect();
    mistakes.at(
        source,
        nodes[cycle[0]].span.clone(),
        format!("the tables refer to each other in a circle: {}", names.join(" → ")),
        "none of them can be filled first",
        Some("make one of the references a plain generator, and set it in `finish.sql`".to_owned()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_after_those_it_refers_to_and_otherwise_keeps_its_place() {
        assert_eq!(order(&[vec![], vec![], vec![0]]), Ok(vec![0, 1, 2]));
        assert_eq!(order(&[vec![2], vec![0], vec![]]), Ok(vec![2, 0, 1]));
    }

    #[test]
    fn a_circle_is_named_from_where_it_closes() {
        assert_eq!(order(&[vec![1], vec![2], vec![1]]), Err(vec![1, 2, 1]));
    }
}
