//! `dbdyno capture`: from its arguments to its plan, and what was captured for a person.

use std::path::Path;

use crate::dataset::capture::{DrawnFrom, Kept};
use crate::db::Target;
use crate::live::Plain;
use crate::study::{self, CapturePlan, Captured, StudyError, TargetChoice};

use super::args::CaptureArguments;
use super::plan::{self, UsageError};
use super::{CommandError, code, output};

/// Lines of a list that are shown.
const SHOWN: usize = 12;

pub(super) async fn capture(arguments: &CaptureArguments) -> Result<u8, CommandError> {
    let plan = captured(arguments)?;
    let mut live = Plain::new(arguments.quiet);
    let captured = Box::pin(study::capture(&plan, &mut |what| live.tell(&what))).await;
    live.finish();
    output::print(&page(&captured?, &plan))?;
    Ok(code::OK)
}

fn captured(arguments: &CaptureArguments) -> Result<CapturePlan, CommandError> {
    let target = Target::parse(&arguments.target).map_err(StudyError::from)?;
    plan::needs_postgres(&TargetChoice::Existing(target.clone()), "capture")?;
    if !arguments.dry_run && !is_free(&arguments.out) {
        return Err(UsageError::Occupied(arguments.out.clone()).into());
    }
    Ok(CapturePlan {
        target,
        out: arguments.out.clone(),
        schemas: arguments.schemas.clone(),
        look: arguments.minutes,
        keep_values: if arguments.redact || !arguments.no_redact {
            Kept::Columns(arguments.keep_values.clone())
        } else {
            Kept::All
        },
        from: if arguments.use_existing_data { DrawnFrom::Target } else { DrawnFrom::Generated },
        dry_run: arguments.dry_run,
    })
}

/// Whether nothing is lost when files are written there.
fn is_free(folder: &Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn page(captured: &Captured, plan: &CapturePlan) -> String {
    let mut text = format!(
        "captured {} tables with {} columns, {} statements in {} transactions\n",
        captured.tables,
        captured.columns,
        captured.statements,
        captured.transactions.len()
    );
    let (queries, spent) = captured.cost;
    text += &format!(
        "the server answered {queries} queries in {:.2} s, all in transactions that can only read\n",
        spent.as_secs_f64()
    );
    let transactions: Vec<String> = captured
        .transactions
        .iter()
        .map(|(name, weight, statements)| {
            let of = if *statements == 1 { String::new() } else { format!(", {statements} statements") };
            format!("{weight:>6.2} %  {name}{of}")
        })
        .collect();
    list(&mut text, "transactions", &transactions);
    list(&mut text, "sessions", &captured.sessions);
    let refused: Vec<String> = captured
        .refused
        .iter()
        .map(|of| {
            format!(
                "{:.2} % of calls, {:.2} % of time: {} ({})",
                100.0 * of.calls / captured.totals.0,
                100.0 * of.exec_ms / captured.totals.1,
                of.text,
                of.why
            )
        })
        .collect();
    list(&mut text, "statements that are not in the workload", &refused);
    let remarks: Vec<String> =
        captured.remarks.iter().map(|of| format!("{}: {} ({})", of.place, of.what, of.remedy)).collect();
    list(&mut text, "not captured, or not as it is there", &remarks);
    if captured.files.is_empty() {
        return text + "\nnothing was written (--dry-run)\n";
    }
    let folder = plan.out.display();
    if plan.from == DrawnFrom::Target {
        return text
            + &format!(
                "\nwritten to {folder}; it draws from the rows of the database that it is run on, and needs no load. Its statements \
                 change\nthat database as they did here, so run it on a copy:\n  dbdyno run -w {folder} -t URL-OF-THE-COPY\n"
            );
    }
    text + &format!(
        "\nwritten to {folder}; it loads and runs as any other:\n  dbdyno load -w {folder} -t local --scale 0.1\n  \
         dbdyno fidelity -w {folder} -t local --against URL\n"
    )
}

fn list(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    *text += &format!("\n{title}\n");
    for line in lines.iter().take(SHOWN) {
        *text += &format!("  {line}\n");
    }
    if lines.len() > SHOWN {
        *text += &format!("  and {} more, in the files\n", lines.len() - SHOWN);
    }
}
