//! What a migration takes on larger tables: each statement's time, WAL and disk against the rows of the table that it works through,
//! fitted over copies of several scales and predicted for the size of production. Pure arithmetic on what was measured without
//! traffic; it does not know whether production's tables fit into memory where the copies did.
//!
//! The model is y = a + b · x by least squares with weights 1 ÷ y², since errors grow with what is measured (Draper and Smith, "Applied
//! Regression Analysis", chapter 9). Neither end is negative: a statement that takes less than nothing on an empty table is fitted
//! through the origin. x are the rows; where a statement sorts them, rows · log₂ rows is fitted as well, and the interval spans both. The
//! interval is that of one further execution at 95 %, by Student's t with the degrees of freedom that are left.

use crate::analysis::student;
use crate::model::{Growth, GrowthInfo, GrowthPoint, Predicted};
use crate::record::migration::{MigrationPlanRecord, ScaledRun};
use crate::sql::ddl::{Form, form};

/// No execution repeats more exactly than this, whatever a few repetitions say: pages, padding and the clock round.
const RELATIVE_ERROR_MIN: f64 = 0.01;
/// One less the confidence of an interval.
const ALPHA: f64 = 0.05;

/// What the runs at several scales say of each statement; nothing where there are none.
pub(super) fn growth(plan: &MigrationPlanRecord, runs: &[ScaledRun]) -> Option<Growth> {
    if runs.is_empty() {
        return None;
    }
    let mut scales: Vec<f64> = runs.iter().map(|run| run.scale).collect();
    scales.sort_by(f64::total_cmp);
    scales.dedup();
    let statements: Vec<GrowthInfo> =
        (0..plan.statements.len()).map(|index| of_statement(index, plan, runs)).collect();
    let each: Option<Vec<Predicted>> = statements.iter().map(|of| of.duration_us).collect();
    let total_us = each.filter(|each| !each.is_empty()).map(|each| Predicted {
        value: each.iter().map(|of| of.value).sum(),
        low: each.iter().map(|of| of.low).sum(),
        high: each.iter().map(|of| of.high).sum(),
        per_row: 0.0,
    });
    let repetitions = runs.iter().map(|run| run.repetition).max().unwrap_or(0);
    Some(Growth { scales, repetitions, statements, total_us })
}

fn of_statement(index: usize, plan: &MigrationPlanRecord, runs: &[ScaledRun]) -> GrowthInfo {
    let mut info = GrowthInfo { statement: index + 1, ..GrowthInfo::default() };
    info.table = table_of(index, runs);
    for run in runs {
        let Some(one) = run.statements.iter().find(|one| one.statement == index) else { continue };
        let rows = info.table.as_ref().and_then(|table| run.rows.get(table)).copied().unwrap_or(0);
        info.points.push(GrowthPoint {
            scale: run.scale,
            rows,
            duration_us: one.duration_us,
            wal_bytes: one.wal_bytes,
            disk_bytes: one.disk_bytes,
        });
    }
    if info.points.len() < runs.len() {
        let failed = runs.iter().find_map(|run| run.failed.as_ref());
        info.why_not = Some(match failed {
            Some((at, error)) if *at == index => format!("it failed: {}", error.message),
            Some((at, _)) => format!("statement {} before it failed", at + 1),
            None => "it was not reached at every scale".to_owned(),
        });
        return info;
    }
    let Some(table) = info.table.clone() else {
        // It works through no table: it takes what it takes, whatever their size.
        info.duration_us = constant(info.points.iter().map(|point| point.duration_us as f64));
        info.disk_bytes = constant(info.points.iter().map(|point| point.disk_bytes as f64));
        info.wal_bytes = constant(info.points.iter().filter_map(|point| Some(point.wal_bytes? as f64)));
        return info;
    };
    info.rows = plan.production_rows.get(&table).copied();
    let Some(rows) = info.rows else {
        info.why_not = Some(format!("say how many rows production has: --production-rows {table}=N"));
        return info;
    };
    let most = info.points.iter().map(|point| point.rows).max().unwrap_or(0);
    info.beyond = (most > 0).then(|| rows as f64 / most as f64);
    let sorts = matches!(
        form(&plan.statements[index].sql),
        Form::CreateIndex | Form::CreateIndexConcurrently | Form::AddUnique | Form::Reindex | Form::Cluster
    );
    let predicted = |of: &dyn Fn(&GrowthPoint) -> Option<f64>, sorts: bool| {
        let points: Vec<(f64, f64)> =
            info.points.iter().filter_map(|point| Some((point.rows as f64, of(point)?))).collect();
        predict(&points, rows as f64, sorts)
    };
    let duration = predicted(&|point| Some(point.duration_us as f64), sorts);
    let wal = predicted(&|point| Some(point.wal_bytes? as f64), false);
    let disk = predicted(&|point| Some(point.disk_bytes as f64), false);
    if duration.is_none() {
        info.why_not = Some(format!("{table} has as many rows at every scale: give it more with the scale"));
    }
    (info.duration_us, info.wal_bytes, info.disk_bytes) = (duration, wal, disk);
    info
}

/// The largest of the tables that the statement worked through at the largest scale.
fn table_of(index: usize, runs: &[ScaledRun]) -> Option<String> {
    let largest = runs.iter().max_by(|a, b| a.scale.total_cmp(&b.scale))?;
    let one = largest.statements.iter().find(|one| one.statement == index)?;
    let rows = |table: &&String| largest.rows.get(*table).copied().unwrap_or(0);
    one.worked_on.iter().max_by_key(rows).cloned()
}

fn constant(values: impl Iterator<Item = f64>) -> Option<Predicted> {
    let values: Vec<f64> = values.collect();
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some(Predicted { value: values.iter().sum::<f64>() / values.len() as f64, low, high, per_row: 0.0 })
}

/// What so many rows take, from pairs of rows and what they took. Nothing where the rows do not differ, or nothing is left to tell
/// the error from.
pub(super) fn predict(points: &[(f64, f64)], rows: f64, sorts: bool) -> Option<Predicted> {
    // What takes nothing everywhere, takes nothing.
    if !points.is_empty() && points.iter().all(|(_, value)| *value <= 0.0) {
        return Some(Predicted::default());
    }
    let straight = Line::fit(points)?.at(rows, rows)?;
    if !sorts {
        return Some(straight);
    }
    let logs = |rows: f64| rows * rows.max(2.0).log2();
    let bent: Vec<(f64, f64)> = points.iter().map(|(rows, value)| (logs(*rows), *value)).collect();
    let bent = Line::fit(&bent)?.at(logs(rows), rows)?;
    Some(Predicted {
        value: f64::midpoint(straight.value, bent.value),
        low: straight.low.min(bent.low),
        high: straight.high.max(bent.high),
        per_row: f64::midpoint(straight.per_row, bent.per_row),
    })
}

/// y = a + b · x with errors that grow with y.
struct Line {
    a: f64,
    b: f64,
    /// Relative standard deviation of one value.
    error: f64,
    /// Degrees of freedom that are left.
    freedom: f64,
    /// Inverse of the weighted sums: of the constant, of both, of the slope. Times the square of the error they are variances.
    covariance: [f64; 3],
}

impl Line {
    fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let points: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| *x > 0.0 && *y > 0.0).collect();
        let (first, _) = points.first()?;
        if points.iter().all(|(x, _)| (x - first).abs() <= 0.001 * first) {
            return None;
        }
        let sum =
            |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(*x, *y) / (y * y)).sum::<f64>();
        let (weight, sx, sxx) = (sum(&|_, _| 1.0), sum(&|x, _| x), sum(&|x, _| x * x));
        let (sy, sxy) = (sum(&|_, y| y), sum(&|x, y| x * y));
        let determinant = weight * sxx - sx * sx;
        let (a, b) = ((sxx * sy - sx * sxy) / determinant, (weight * sxy - sx * sy) / determinant);
        let (a, b, parameters, covariance) = match () {
            () if a < 0.0 => (0.0, sxy / sxx, 1.0, [0.0, 0.0, 1.0 / sxx]),
            () if b < 0.0 => (sy / weight, 0.0, 1.0, [1.0 / weight, 0.0, 0.0]),
            () => (a, b, 2.0, [sxx / determinant, -sx / determinant, weight / determinant]),
        };
        let freedom = points.len() as f64 - parameters;
        if freedom < 1.0 {
            return None;
        }
        let squares: f64 = points.iter().map(|(x, y)| ((y - a - b * x) / y).powi(2)).sum();
        let error = (squares / freedom).sqrt().max(RELATIVE_ERROR_MIN);
        Some(Self { a, b, error, freedom, covariance })
    }

    /// At `x`, which stands for so many rows.
    fn at(&self, x: f64, rows: f64) -> Option<Predicted> {
        let value = self.a + self.b * x;
        if !value.is_finite() || rows <= 0.0 {
            return None;
        }
        let [constant, both, slope] = self.covariance;
        let of_line = constant + 2.0 * x * both + x * x * slope;
        let deviation = self.error * (of_line.max(0.0) + value * value).sqrt();
        let reach = student::quantile(1.0 - ALPHA / 2.0, self.freedom) * deviation;
        let per_row = self.b * x / rows;
        Some(Predicted { value, low: (value - reach).max(0.0), high: value + reach, per_row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::migration::{DdlStatement, RehearsalKind, ScaledStatement};
    use crate::units::StageId;

    /// 40 ms and 2 µs a row, by turns one in a hundred more and less.
    fn series(sizes: &[f64]) -> Vec<(f64, f64)> {
        let both = |rows: &f64| [0.99, 1.01].map(|by| (*rows, by * (40_000.0 + 2.0 * rows)));
        sizes.iter().flat_map(both).collect()
    }

    #[test]
    fn a_known_line_is_found_and_its_interval_holds_it() {
        let predicted = predict(&series(&[1e5, 5e5]), 2e6, false).expect("two sizes");
        let truth = 40_000.0 + 2.0 * 2e6;
        assert!((predicted.value / truth - 1.0).abs() < 0.02, "{predicted:?}");
        assert!(predicted.low < truth && truth < predicted.high, "{predicted:?}");
        assert!((predicted.per_row - 2.0).abs() < 0.05, "{predicted:?}");
        // Farther away it is less sure.
        let far = predict(&series(&[1e5, 5e5]), 4e8, false).expect("two sizes");
        let width = |of: &Predicted| (of.high - of.low) / of.value;
        assert!(width(&far) > width(&predicted), "{predicted:?} {far:?}");
    }

    /// Three values, by hand: the sums with weights 1 ÷ y² of (1, 1), (2, 2), (2, 2.2) give the line, and the squares of the relative
    /// residuals with one degree of freedom the error.
    #[test]
    fn the_fit_is_that_of_weighted_least_squares() {
        let points = [(1.0, 1.2), (2.0, 2.0), (2.0, 2.2)];
        let line = Line::fit(&points).expect("two sizes");
        // The slope's condition: the sum of x r ÷ y² is nothing, and so is that of r ÷ y².
        let residual = |(x, y): &(f64, f64)| (y - line.a - line.b * x) / (y * y);
        assert!(points.iter().map(residual).sum::<f64>().abs() < 1e-12);
        assert!(points.iter().map(|point| point.0 * residual(point)).sum::<f64>().abs() < 1e-12);
        let squares: f64 = points.iter().map(|(x, y)| ((y - line.a - line.b * x) / y).powi(2)).sum();
        assert!((line.error - squares.sqrt()).abs() < 1e-12 && (line.freedom - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_sort_takes_more_than_its_rows_and_less_than_the_logarithm_says_alone() {
        let sort = |rows: f64| rows * rows.log2() * 0.1;
        let points: Vec<(f64, f64)> = [1e5, 1e5, 5e5, 5e5].iter().map(|rows| (*rows, sort(*rows))).collect();
        let predicted = predict(&points, 4e8, true).expect("two sizes");
        assert!(predicted.low < sort(4e8) && sort(4e8) < predicted.high, "{predicted:?}");
        let straight = predict(&points, 4e8, false).expect("two sizes");
        assert!(straight.value < predicted.value, "{straight:?} {predicted:?}");
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        assert_eq!(predict(&series(&[1e5]), 1e6, false), None);
        assert_eq!(
            predict(&[(1e5, 3.0), (5e5, 9.0)], 1e6, false),
            None,
            "no error can be told from two values"
        );
        assert_eq!(predict(&[(1e5, 0.0), (5e5, 0.0)], 1e6, false), Some(Predicted::default()));
        // Less on more rows: it does not grow, and never falls below nothing.
        let falling =
            predict(&[(1e5, 9.0), (1e5, 9.1), (5e5, 3.0), (5e5, 3.1)], 1e9, false).expect("a constant");
        assert!(falling.value > 0.0 && falling.per_row.abs() < f64::EPSILON, "{falling:?}");
    }

    fn plan(sql: &[&str], production: &[(&str, u64)]) -> MigrationPlanRecord {
        let statement = |sql: &&str| DdlStatement { sql: (*sql).to_owned(), ..DdlStatement::default() };
        MigrationPlanRecord {
            kind: RehearsalKind::Migration,
            before: StageId(0),
            during: StageId(1),
            after: StageId(2),
            tool: "plain".to_owned(),
            folder: String::new(),
            migrations: Vec::new(),
            statements: sql.iter().map(statement).collect(),
            lock_timeout_ms: None,
            retries: 0,
            backoff_ms: 0,
            conditions: Vec::new(),
            on_copy: true,
            instead_of: Vec::new(),
            try_safe: false,
            command: None,
            production_rows: production.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect(),
        }
    }

    fn run(scale: f64, repetition: u32, tables: &[&[&str]]) -> ScaledRun {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rows = (scale * 1e6) as u64;
        let statement = |(index, worked_on): (usize, &&[&str])| ScaledStatement {
            statement: index,
            duration_us: if worked_on.is_empty() { 500 } else { 10_000 + rows + u64::from(repetition) },
            wal_bytes: Some(100 * rows),
            disk_bytes: 50 * rows,
            worked_on: worked_on.iter().map(|table| (*table).to_owned()).collect(),
        };
        ScaledRun {
            scale,
            repetition,
            rows: [("orders".to_owned(), rows), ("small".to_owned(), 10)].into(),
            statements: tables.iter().enumerate().map(statement).collect(),
            failed: None,
        }
    }

    #[test]
    fn each_statement_is_predicted_by_the_table_that_it_works_through() {
        let tables: [&[&str]; 3] = [&["small", "orders"], &[], &["small"]];
        let runs: Vec<ScaledRun> =
            [0.1, 0.5].iter().flat_map(|scale| [1, 2].map(|number| run(*scale, number, &tables))).collect();
        let sql = [
            "ALTER TABLE orders ADD lot float DEFAULT random()",
            "ALTER TABLE orders ADD note text",
            "SELECT 1",
        ];
        let plan = plan(&sql, &[("orders", 400_000_000), ("small", 10)]);
        let growth = growth(&plan, &runs).expect("there are runs");
        assert_eq!((growth.scales.as_slice(), growth.repetitions), ([0.1, 0.5].as_slice(), 2));
        let [rewrite, catalogue, small] = growth.statements.as_slice() else { panic!("{growth:?}") };
        assert_eq!((rewrite.table.as_deref(), rewrite.rows), (Some("orders"), Some(400_000_000)));
        let took = rewrite.duration_us.expect("a prediction");
        assert!((took.value / 400_010_000.0 - 1.0).abs() < 0.01, "{took:?}");
        assert_eq!(rewrite.beyond.map(f64::round), Some(800.0));
        assert_eq!((catalogue.table.as_ref(), catalogue.duration_us.map(|of| of.value)), (None, Some(500.0)));
        assert!(
            small.why_not.as_ref().is_some_and(|why| why.contains("as many rows at every scale")),
            "{small:?}"
        );
        assert_eq!(growth.total_us, None, "one of them is not known");
    }

    #[test]
    fn without_rows_of_production_the_flag_is_named_and_a_failure_is_told() {
        let tables: [&[&str]; 1] = [&["orders"]];
        let mut runs = vec![run(0.1, 1, &tables), run(0.5, 1, &tables)];
        let plan = plan(&["CREATE INDEX i ON orders (a)", "SELECT 1"], &[]);
        let growth_of = |runs: &[ScaledRun]| growth(&plan, runs).expect("there are runs").statements;
        assert_eq!(
            growth_of(&runs)[0].why_not.as_deref(),
            Some("say how many rows production has: --production-rows orders=N")
        );
        let error =
            crate::record::migration::DdlError { code: "22012".to_owned(), message: "by zero".to_owned() };
        runs[1].failed = Some((1, error));
        assert_eq!(growth_of(&runs)[1].why_not.as_deref(), Some("it failed: by zero"));
    }
}
