//! `dbdyno fidelity`: from its arguments to its plan, and how near a captured workload comes for a person.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableStyle};

use crate::db::Target;
use crate::live::Plain;
use crate::study::{
    self, Counters, Fidelity, FidelityPlan, LoadShape, StatementFidelity, StudyError, TargetChoice,
    default_jobs,
};
use crate::units::Dialect;

use super::args::FidelityArguments;
use super::{CommandError, code, output, plan};

/// Columns that are shown: those that are farthest.
const SHOWN: usize = 10;

pub(super) async fn fidelity(arguments: &FidelityArguments) -> Result<u8, CommandError> {
    let (target, against) =
        (plan::target(&arguments.target)?, Target::parse(&arguments.against).map_err(StudyError::from)?);
    plan::needs_postgres(&target, "fidelity")?;
    plan::needs_postgres(&TargetChoice::Existing(against.clone()), "fidelity")?;
    let plan = FidelityPlan {
        workload: plan::read(&arguments.workload, Dialect::Postgresql)?,
        target,
        against,
        shape: LoadShape {
            scale: arguments.scale,
            seed: arguments.seed,
            jobs: default_jobs(),
            replace: false,
            statistics: plan::statistics(arguments.statistics),
        },
        exercise: arguments.duration,
    };
    output::check_file(arguments.json.as_deref())?;
    let mut live = Plain::new(arguments.quiet);
    let found = Box::pin(study::fidelity(&plan, &mut |what| live.tell(&what))).await;
    live.finish();
    let found = found?;
    if let Some(path) = &arguments.json {
        let text = output::pretty(&found);
        if path == std::path::Path::new("-") {
            output::print(&text)?;
            return Ok(code::OK);
        }
        std::fs::write(path, text + "\n").map_err(output::unwritable(path))?;
    }
    output::print(&page(&found, arguments.full))?;
    Ok(code::OK)
}

fn page(found: &Fidelity, full: bool) -> String {
    let known = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), per_cent);
    let mut text = format!(
        "fidelity {}, the mean of\n  columns     {}  statistics of {} columns\n  plans       {}  generic plans of the same shape\n  \
         mix         {}  share of the calls that agrees\n  rows        {}  rows per call\n  cache       {}  blocks found in memory\n",
        per_cent(found.score),
        known(found.columns_score),
        found.columns.len(),
        known(found.same_plan_rate),
        known(found.mix_distance.map(|distance| 1.0 - distance)),
        known(found.rows_score),
        known(found.cache_score),
    );
    if !found.columns.is_empty() {
        text += &columns(found, full);
    }
    text += &statements(found, full);
    let others = found.statements.iter().filter(|of| of.same_plan == Some(false) || full);
    for statement in others {
        text += &format!(
            "\n{}\n  there: {}\n  here:  {}\n",
            statement.statement,
            or_dash(&statement.source_plan),
            or_dash(&statement.copy_plan)
        );
    }
    text += "\nknown to differ\n";
    for line in &found.known_to_differ {
        text += &format!("  {line}\n");
    }
    text
}

/// A table whose columns but the first are numbers.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(output::width_of_page()).unwrap_or(80))
        .set_header(header);
    for at in 1..N {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What each statement gives and reads, the one that is called most first.
fn statements(found: &Fidelity, full: bool) -> String {
    let shown = if full { found.statements.len() } else { SHOWN };
    let mut table = table(["statement", "% of calls", "rows a call", "blocks a call", "% in memory"]);
    let mut all: Vec<&StatementFidelity> = found.statements.iter().collect();
    let share = |of: &StatementFidelity| of.source_share.unwrap_or(of.share);
    all.sort_by(|one, other| share(other).total_cmp(&share(one)));
    for of in all.iter().take(shown) {
        let both = |shown: &dyn Fn(&Counters) -> Option<String>| {
            let side = |counted: Option<&Counters>| counted.and_then(shown).unwrap_or_else(|| "–".to_owned());
            beside(&side(of.source.as_ref()), &side(of.copy.as_ref()))
        };
        let part = |share: f64| format!("{:.1}", 100.0 * share);
        let there = of.source_share.map_or_else(|| "–".to_owned(), part);
        // Its transaction is named after it.
        let name = of.statement.rsplit_once('.').map_or(of.statement.as_str(), |(_, name)| name);
        table.add_row([
            name.to_owned(),
            beside(&there, &part(of.share)),
            both(&|counted| Some(format!("{:.2}", counted.rows_per_call))),
            both(&|counted| Some(format!("{:.1}", counted.blocks_per_call))),
            both(&|counted| counted.hit_fraction.map(part)),
        ]);
    }
    let title = if found.statements.len() > shown { "statements that are called most" } else { "statements" };
    format!("\n{title}: there and here\n\n{table}\n")
}

/// What is there and what is here, on one line.
fn beside(there: &str, here: &str) -> String {
    format!("{there}\u{a0}/\u{a0}{here}")
}

fn columns(found: &Fidelity, full: bool) -> String {
    let shown = if full { found.columns.len() } else { SHOWN };
    let mut table = table(["column", "score", "nulls", "distinct", "common", "histogram", "width", "order"]);
    let distance = |value: f64| format!("{value:.3}");
    let known = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), distance);
    for column in found.columns.iter().take(shown) {
        table.add_row([
            column.column.clone(),
            per_cent(column.score),
            distance(column.null_fraction),
            distance(column.distinct),
            distance(column.common),
            known(column.histogram),
            distance(column.width),
            known(column.correlation),
        ]);
    }
    let title = if found.columns.len() > shown { "columns that are farthest" } else { "columns" };
    format!("\n{title}: distances from 0, the same, to 1\n\n{table}\n")
}

fn per_cent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}
