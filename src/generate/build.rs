//! Makes the generators of columns from their descriptions, checked against the whole document.

mod reference;
mod row;

use super::ValueKind;
pub(super) use row::kind_of_branches;

use super::column::{Placed, Source};
use super::correlation::ordered_share;
use super::distinct::Distinct;
use super::histogram::Histogram;
use super::placement::share_of;
use super::quantile::Quantile;
use super::resolve::{Scope, acyclic, affordable};
use super::spec::{ColumnSpec, DrawSpec, HistogramSpec, Modifiers, Refusal, RowSpec, ScopeTable, ValueSpec};
use super::template::{Key, Template};
use super::value::{Made, UuidTime, ValueGenerator, fraction, uuid_time};
use crate::sql::values::Slot;

/// The source of the values of column `column` of `tables[table]`.
pub(super) fn source(
    spec: &ColumnSpec,
    modifiers: &Modifiers,
    tables: &[ScopeTable],
    table: usize,
    column: usize,
) -> Result<Source, Refusal> {
    fraction("null_fraction", modifiers.null_fraction)?;
    if modifiers.exclusive.is_some() && correlation_of(spec, modifiers) {
        return Err(Refusal::new(
            "`correlation` cannot be held beside `exclusive`",
            "which rows have a value follows no order of theirs",
        ));
    }
    if modifiers.exclusive.is_some()
        && matches!(spec, ColumnSpec::Row(RowSpec::Conditional(of)) if of.draw == DrawSpec::Once)
    {
        return Err(Refusal::new(
            "`exclusive` cannot be held beside `draw = \"once\"`",
            "whether it is NULL is drawn with its value",
        ));
    }
    if modifiers.exclusive.is_some() && null_by_itself(spec) {
        return Err(Refusal::new(
            "`exclusive` cannot be held by a column that can be NULL by itself",
            "which rows have a value is decided by what it follows from",
        )
        .help("let a generator that needs no other column, or a `reference`, make it"));
    }
    let scope = Scope { tables, table };
    // A column that needs itself has no kind and no range: that is said first.
    acyclic(tables, table, column)?;
    affordable(tables, table, column)?;
    match spec {
        ColumnSpec::Value(spec) => value(spec, modifiers, &scope),
        ColumnSpec::Row(spec) => row::source(spec, modifiers, &scope),
    }
}

fn value(spec: &ValueSpec, modifiers: &Modifiers, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let correlation = correlation(spec, modifiers)?;
    match spec {
        ValueSpec::Template(text) => template(text, modifiers, scope),
        ValueSpec::Histogram(spec) => histogram(spec, modifiers, scope),
        ValueSpec::Uuid(spec) if uuid_time(spec)? == UuidTime::Column => {
            let name = spec.at.as_deref().unwrap_or_default();
            let at = scope.column(scope.table, name)?;
            if !matches!(scope.kind(scope.table, at), None | Some(ValueKind::Timestamp | ValueKind::Date)) {
                return Err(Refusal::new(
                    format!("`{name}` is not a time"),
                    "a `timestamp` or `date` is wanted",
                ));
            }
            no_correlation(modifiers, "the column that it takes its time from has one")?;
            Ok(Source::Uuid7 { at })
        }
        // A UUID is unique by itself.
        _ if modifiers.unique && !matches!(spec, ValueSpec::Uuid(_)) => {
            let distinct = Distinct::new(spec)?;
            let share = match correlation {
                Some(_) if !distinct.has_order() => return Err(no_order()),
                // No two values are alike: what is asked for is what is measured.
                Some(correlation) => {
                    ordered_share(correlation, |share, out| out.extend_from_slice(&share.to_be_bytes()))?
                }
                None => 0.0,
            };
            Ok(Source::Placed { values: Placed::Distinct(distinct), share })
        }
        _ => match correlation.filter(|correlation| *correlation != 0.0 || modifiers.correlation.is_some()) {
            Some(correlation) => {
                ValueGenerator::build(&without_correlation(spec))?;
                let quantile = Quantile::new(spec)?.ok_or_else(no_order)?;
                // What the order leaves open does not matter for the order.
                let mut stream = super::Key::root(crate::units::Seed(0)).at(0, 0);
                let share = ordered_share(correlation, |share, out| {
                    let made = quantile.emit(share, &mut stream, out);
                    append(made, out);
                })?;
                Ok(Source::Ordered { quantile, share })
            }
            None => Ok(Source::Value(ValueGenerator::build(spec)?)),
        },
    }
}

/// Whether what a column follows from can leave it NULL, whatever is said of its NULLs.
fn null_by_itself(spec: &ColumnSpec) -> bool {
    match spec {
        ColumnSpec::Row(RowSpec::Conditional(of)) => of.otherwise.is_none(),
        ColumnSpec::Row(spec) => !matches!(spec, RowSpec::Sequence(_) | RowSpec::Reference(_)),
        ColumnSpec::Value(ValueSpec::Uuid(spec)) => spec.at.is_some(),
        ColumnSpec::Value(_) => false,
    }
}

/// Whether an order of the rows is asked for, in either form.
fn correlation_of(spec: &ColumnSpec, modifiers: &Modifiers) -> bool {
    let inner = match spec {
        ColumnSpec::Value(ValueSpec::Timestamp(time) | ValueSpec::Date(time)) => time.correlation,
        _ => 0.0,
    };
    inner != 0.0 || modifiers.correlation.is_some()
}

/// Appends what tells a value from its neighbours: bits, which cost less than digits.
fn append(made: Made, out: &mut Vec<u8>) {
    let Made::Scalar(slot) = made else { return };
    match slot {
        Slot::Null | Slot::Text(_) | Slot::Bytes(_) => {}
        Slot::Bool(value) => out.push(value.into()),
        Slot::Int(value) | Slot::Timestamp(value) | Slot::Decimal { unscaled: value, .. } => {
            out.extend_from_slice(&value.to_ne_bytes());
        }
        Slot::Float(value) => out.extend_from_slice(&value.to_ne_bytes()),
        Slot::Date(value) => out.extend_from_slice(&value.to_ne_bytes()),
        Slot::Uuid(value) => out.extend_from_slice(&value.to_ne_bytes()),
    }
}

/// The correlation that is asked for, in either form; UUIDs that grow with time do so with the rows.
fn correlation(spec: &ValueSpec, modifiers: &Modifiers) -> Result<Option<f64>, Refusal> {
    let inner = match spec {
        ValueSpec::Timestamp(time) | ValueSpec::Date(time) => Some(time.correlation).filter(|of| *of != 0.0),
        _ => None,
    };
    match (inner, modifiers.correlation) {
        (Some(_), Some(_)) => {
            Err(Refusal::new("`correlation` is said twice", "beside the generator and inside it")
                .help("keep one of them"))
        }
        (None, None) => Ok(match spec {
            ValueSpec::Uuid(spec) if matches!(uuid_time(spec)?, UuidTime::Range(_)) => Some(1.0),
            _ => None,
        }),
        (inner, modifier) => Ok(inner.or(modifier)),
    }
}

fn without_correlation(spec: &ValueSpec) -> ValueSpec {
    let mut spec = spec.clone();
    if let ValueSpec::Timestamp(time) | ValueSpec::Date(time) = &mut spec {
        time.correlation = 0.0;
    }
    spec
}

fn no_order() -> Refusal {
    Refusal::new("these values have no order that rows could follow", "`correlation` cannot be held")
        .help("numbers, times, categories and histograms have an order")
}

fn no_correlation(modifiers: &Modifiers, why: &str) -> Result<(), Refusal> {
    if modifiers.correlation.is_none() {
        return Ok(());
    }
    Err(Refusal::new("`correlation` has no meaning here", why))
}

fn histogram(spec: &HistogramSpec, modifiers: &Modifiers, scope: &Scope<'_>) -> Result<Source, Refusal> {
    let spec = HistogramSpec {
        // NULLs count as rows there.
        distinct: if modifiers.unique { None } else { spec.distinct },
        ..spec.clone()
    };
    let histogram = Histogram::new(&spec, modifiers.null_fraction)?;
    if modifiers.unique && histogram.has_common() {
        return Err(Refusal::new("common values come more than once", "`unique` has none of them"));
    }
    let rows = scope.tables[scope.table].rows;
    let places = rows - share_of(rows, modifiers.null_fraction);
    if !modifiers.unique
        && histogram.says_distinct()
        && let Some((room, wanted)) = histogram.lacking(rows, places, 0.9)
    {
        return Err(Refusal::new(
            format!("`distinct` asks for {wanted} values, and the bounds have room for {room}"),
            "fewer values lie between the bounds",
        ));
    }
    let share = match modifiers.correlation {
        None => 0.0,
        Some(correlation) => {
            let dealt = histogram.deal(rows, places.max(1));
            ordered_share(correlation, |share, out| {
                let made = dealt.emit(share_of(places.max(1) - 1, share), out);
                append(made, out);
            })?
        }
    };
    let values = Placed::Histogram { histogram: Box::new(histogram), is_unique: modifiers.unique };
    Ok(Source::Placed { values, share })
}

fn template(text: &str, modifiers: &Modifiers, scope: &Scope<'_>) -> Result<Source, Refusal> {
    no_correlation(modifiers, "the values of a template have no order")?;
    let names = scope.column_names(scope.table);
    let template = Template::parse(text, &names)?;
    let bytes = |column: &usize| scope.kind(scope.table, *column) == Some(ValueKind::Bytes);
    if let Some(column) = template.columns().find(bytes) {
        return Err(Refusal::new(format!("`{}` is bytes", names[column]), "a template is text"));
    }
    let key = |column: usize| key_of(scope, column);
    if modifiers.unique && !template.has_key(&key) {
        return Err(Refusal::new("nothing keeps the values of this template apart", "`unique` wants a key in it")
            .help("name a `sequence` or another unique column of the row, with a sign between it and other values: `\"{first_name}.{id}\"`"));
    }
    Ok(Source::Template(template))
}

/// What kind of key a column of the own table is, if no two rows have the same value.
fn key_of(scope: &Scope<'_>, column: usize) -> Option<Key> {
    let described = &scope.tables[scope.table].columns[column];
    if described.modifiers.null_fraction > 0.0 {
        return None;
    }
    match described.spec.as_ref()? {
        ColumnSpec::Value(ValueSpec::Uuid(_)) => Some(Key::OfOneLength),
        ColumnSpec::Row(RowSpec::Sequence(_)) => Some(Key::Number),
        _ if described.modifiers.unique => {
            (scope.kind(scope.table, column)? == ValueKind::Int).then_some(Key::Number)
        }
        _ => None,
    }
}
