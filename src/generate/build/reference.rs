//! How the rows of a table are spread over the rows that they refer to, checked against the sizes of both tables.

use super::super::children::Spread;
use super::super::column::{FanOut, Source};
use super::super::resolve::Scope;
use super::super::spec::{
    ColumnSpec, FanOutSpec, Modifiers, ReferenceSpec, Refusal, RowSpec, ScopeColumn, ValueSpec,
};
use super::super::value::{exponent, upwards};
use super::ordered_share;

pub(super) fn source(
    spec: &ReferenceSpec,
    modifiers: &Modifiers,
    scope: &Scope<'_>,
) -> Result<Source, Refusal> {
    let table = scope.table_named(&spec.table)?;
    if table == scope.table {
        return Err(Refusal::new(format!("`{}` refers to itself", spec.table), "the own table")
            .help("write `tree = { depth = 3, roots = 8 }`"));
    }
    let column = scope.key_column(table, spec.column.as_deref())?;
    if modifiers.unique && !is_key(&scope.tables[table].columns[column]) {
        let name = format!("{}.{}", spec.table, scope.tables[table].columns[column].name);
        return Err(Refusal::new(
            format!("`{name}` is not unique itself"),
            "`unique` wants another value of each row there",
        ));
    }
    let fan_out = match &spec.distinct_per {
        Some(first) => pairs(spec, first, modifiers, scope)?,
        None => fan_out(spec, table, modifiers, scope)?,
    };
    Ok(Source::Reference { table, column, fan_out })
}

fn is_key(column: &ScopeColumn) -> bool {
    column.modifiers.unique
        || matches!(
            column.spec,
            Some(ColumnSpec::Row(RowSpec::Sequence(_)) | ColumnSpec::Value(ValueSpec::Uuid(_)))
        )
}

fn fan_out(
    spec: &ReferenceSpec,
    table: usize,
    modifiers: &Modifiers,
    scope: &Scope<'_>,
) -> Result<FanOut, Refusal> {
    let share = match modifiers.correlation {
        Some(correlation) => {
            ordered_share(correlation, |share, out| out.extend_from_slice(&share.to_be_bytes()))?
        }
        None => 0.0,
    };
    if modifiers.correlation.is_some() && spec.fan_out != FanOutSpec::Uniform {
        return Err(Refusal::new(
            "this fan-out has an order of its own",
            "`each` writes children beside one another, `zipf`, `normal` and `histogram` scatter them",
        )
        .help("leave `correlation` out, or the `fan_out`"));
    }
    let (parents, children) = (scope.tables[table].rows, scope.tables[scope.table].rows);
    match &spec.fan_out {
        FanOutSpec::Uniform if modifiers.unique => Ok(FanOut::Once { share }),
        FanOutSpec::Uniform if modifiers.correlation.is_some() => Ok(FanOut::Ordered { share }),
        FanOutSpec::Uniform => Ok(FanOut::Uniform),
        FanOutSpec::Each([_, max]) if modifiers.unique && *max > 1 => Err(more_than_one()),
        FanOutSpec::Each(bounds) => each(*bounds, spec, parents, children),
        _ if modifiers.unique => Err(more_than_one()),
        FanOutSpec::Zipf(s) => {
            exponent(*s)?;
            Ok(FanOut::Zipf { exponent: *s })
        }
        FanOutSpec::Normal(normal) => {
            let mean = children as f64 / parents as f64;
            if let Some(said) = normal.mean
                && (said / mean - 1.0).abs() > 0.01
            {
                return Err(Refusal::new(
                    format!(
                        "`mean` is {said}, and {children} rows for {parents} of `{}` are {mean:.2}",
                        spec.table
                    ),
                    "does not match the `rows` of the two tables",
                )
                .help("leave `mean` out, or change `rows`"));
            }
            let spread = Spread::normal(normal)?;
            spread.check(parents, children, &spec.table)?;
            Ok(FanOut::Spread(spread))
        }
        FanOutSpec::Histogram(weights) => {
            let spread = Spread::histogram(weights)?;
            spread.check(parents, children, &spec.table)?;
            Ok(FanOut::Spread(spread))
        }
    }
}

fn more_than_one() -> Refusal {
    Refusal::new("several rows refer to one", "`unique` allows one")
        .help("leave the `fan_out` out, or write `fan_out = { each = [0, 1] }`")
}

fn each([min, max]: [u32; 2], spec: &ReferenceSpec, parents: u64, children: u64) -> Result<FanOut, Refusal> {
    upwards(&min, &max)?;
    let (min, max) = (u64::from(min), u64::from(max));
    if children < parents.saturating_mul(min) || children > parents.saturating_mul(max) {
        return Err(Refusal::new(
            format!(
                "{children} rows cannot be {min} to {max} for each of the {parents} rows of `{}`",
                spec.table
            ),
            "does not match the `rows` of the two tables",
        )
        .help(format!(
            "set `rows` between {} and {}",
            parents.saturating_mul(min),
            parents.saturating_mul(max)
        )));
    }
    Ok(FanOut::Each { min, max })
}

fn pairs(
    spec: &ReferenceSpec,
    first: &str,
    modifiers: &Modifiers,
    scope: &Scope<'_>,
) -> Result<FanOut, Refusal> {
    let through = scope.column(scope.table, first)?;
    let described = &scope.tables[scope.table].columns[through];
    let Some(ColumnSpec::Row(RowSpec::Reference(other))) = &described.spec else {
        return Err(Refusal::new(
            format!("`{first}` refers to no table"),
            "another `reference` of this table is wanted",
        ));
    };
    if other.distinct_per.is_some() {
        return Err(Refusal::new(
            format!("`{first}` has a `distinct_per` itself"),
            "the rows of one of the two columns must be counted",
        ));
    }
    let first_table = scope.table_named(&other.table)?;
    let first_fan_out = fan_out(other, first_table, &described.modifiers, scope)?;
    if !first_fan_out.counts() {
        return Err(Refusal::new(
            format!("the rows that `{first}` refers with are not counted"),
            "only `each`, `normal` and `histogram` count them",
        )
        .help(format!("give `{first}` a fan-out such as `fan_out = {{ each = [0, 6] }}`")));
    }
    if modifiers.unique || modifiers.correlation.is_some() {
        return Err(Refusal::new(
            "`unique` and `correlation` have no meaning here",
            "these rows follow those of the other column",
        ));
    }
    let exponent = match &spec.fan_out {
        FanOutSpec::Uniform => None,
        FanOutSpec::Zipf(s) => {
            exponent(*s)?;
            Some(*s)
        }
        _ => {
            return Err(Refusal::new(
                "both sides of the pairs are counted",
                "with `distinct_per` a fan-out is `uniform` or `zipf`",
            ));
        }
    };
    Ok(FanOut::Pairs { through, first: Box::new(first_fan_out), first_table, exponent })
}
