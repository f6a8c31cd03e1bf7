//! A migration check for a pull request and for a test runner: Markdown and JUnit XML, pure functions of the model.

use std::fmt::Write as _;

use crate::model::{DdlOutcome, Migration, MigrationOutcome, Report, Severity, Verdict};

use super::format::{NBSP, whole_us};
use super::text::sanitise;

/// The verdict, the conditions, the statements and the findings as Markdown. Empty where the report is of no migration.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let Some(migration) = &report.migration else { return String::new() };
    let badge = match report.verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Fail => "❌ fail",
        Verdict::Inconclusive | Verdict::None => "⚠️ inconclusive",
    };
    let mut text = format!("## Migration under load: {badge}\n\n{}\n\n", escaped(&migration.answer));
    text.push_str("| fails on | measured | |\n|---|---|---|\n");
    for of in &migration.conditions {
        let word = match of.verdict {
            Verdict::Pass => "kept",
            Verdict::Fail => "**holds**",
            Verdict::Inconclusive | Verdict::None => "unclear",
        };
        let _ = writeln!(text, "| `{}` | {} | {word} |", of.condition, escaped(&of.measured));
    }
    text.push_str("\n| # | statement | took | waited for lock | lock | blocked | together | longest |\n");
    text.push_str("|--:|---|--:|--:|---|--:|--:|--:|\n");
    for of in &migration.statements {
        let lock = of.locks.first().map_or_else(String::new, |lock| {
            format!("{} {}", lock.mode.trim_end_matches("Lock"), whole_us(lock.us))
        });
        let us = |us: u64| if us > 0 { whole_us(us) } else { "–".to_owned() };
        let took =
            if of.outcome == DdlOutcome::NotReached { "not reached".to_owned() } else { us(of.duration_us) };
        let _ = writeln!(
            text,
            "| {} | {} | {took} | {} | {lock} | {} | {} | {} |",
            of.number,
            code(&of.sql),
            us(of.lock_wait_us),
            of.blocked,
            us(of.blocked_us_total),
            us(of.blocked_us_max),
        );
    }
    rehearsals(&mut text, migration);
    let own = report
        .findings
        .iter()
        .filter(|of| of.id.starts_with("migration-") || of.severity == Severity::Invalid);
    for finding in own {
        let _ = write!(
            text,
            "\n**{}** (`{}`)  \n{}  \n*Instead:* {}\n",
            escaped(&finding.title),
            finding.id,
            escaped(&finding.evidence),
            escaped(&finding.remedy)
        );
    }
    let _ = write!(
        text,
        "\n<sub>{} · dbdyno {} · run {}</sub>\n",
        escaped(&load(report)),
        report.dbdyno_version,
        report.id
    );
    text.replace(NBSP, " ")
}

/// What was rehearsed beside it, a line each.
fn rehearsals(text: &mut String, migration: &Migration) {
    if !migration.rehearsals.is_empty() {
        text.push_str("\n| rehearsed as well | outcome | tries | blocked | together | longest |\n|---|---|--:|--:|--:|--:|\n");
    }
    for of in &migration.rehearsals {
        let limit = of.lock_timeout_ms.map_or_else(|| "none".to_owned(), |ms| whole_us(ms * 1000));
        let name = match of.kind.as_str() {
            "safe" => "the safe form".to_owned(),
            "down" => "the way back".to_owned(),
            _ => format!("lock\\_timeout {limit}"),
        };
        let outcome = if of.outcome == MigrationOutcome::Applied { "landed" } else { "**did not land**" };
        let us = |us: u64| if us > 0 { whole_us(us) } else { "–".to_owned() };
        let (total, longest) = (us(of.blast.blocked_us_total), us(of.blast.blocked_us_max));
        let _ = writeln!(
            text,
            "| {name} | {outcome} | {} | {} | {total} | {longest} |",
            of.tries, of.blast.blocked
        );
    }
    for of in migration.also_prepared.iter().flat_map(|of| &of.broken) {
        let _ = writeln!(text, "\nBreaks `{}`: {}", of.statement.replace('`', "'"), escaped(&of.error));
    }
}

fn load(report: &Report) -> String {
    let target = &report.target;
    format!("workload {} on {} {}", report.workload.name, target.engine, target.version)
}

/// Text that Markdown shows as it is, in a table as well.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in sanitise(text).chars() {
        if matches!(character, '|' | '*' | '_' | '`' | '<' | '\\' | '[') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A statement in one line as code.
fn code(sql: &str) -> String {
    const SHOWN: usize = 80;
    let line: String =
        sql.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'").replace('|', "\\|");
    let cut: String = line.chars().take(SHOWN).collect();
    let rest = if cut.len() < line.len() { "…" } else { "" };
    format!("`{}{rest}`", sanitise(&cut))
}

/// One test case for the migration and one for each condition, as JUnit XML. Empty where the report is of no migration.
#[must_use]
pub fn junit(report: &Report) -> String {
    let Some(migration) = &report.migration else { return String::new() };
    let mut cases = Vec::new();
    cases.push(applied(migration));
    for of in &migration.conditions {
        let outcome = match of.verdict {
            Verdict::Pass => String::new(),
            Verdict::Fail => format!("<failure message=\"{}\"/>", xml(&of.measured)),
            Verdict::Inconclusive | Verdict::None => {
                format!("<error message=\"unclear: {}\"/>", xml(&of.measured))
            }
        };
        cases.push(case(&of.condition, 0.0, &outcome));
    }
    let count = |mark: &str| cases.iter().filter(|case| case.contains(mark)).count();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"dbdyno migration {}\" tests=\"{}\" \
         failures=\"{}\" errors=\"{}\" timestamp=\"{}\">\n{}\n</testsuite>\n</testsuites>\n",
        xml(&report.workload.name),
        cases.len(),
        count("<failure"),
        count("<error"),
        xml(&report.started_at),
        cases.join("\n")
    )
    .replace(NBSP, " ")
}

fn applied(migration: &Migration) -> String {
    let failed = migration.statements.iter().find(|of| of.outcome == DdlOutcome::Failed);
    let outcome = if migration.outcome == MigrationOutcome::Applied {
        String::new()
    } else {
        let why = failed.and_then(|of| of.error.clone()).unwrap_or_else(|| migration.answer.clone());
        let place = failed.map_or_else(String::new, |of| format!("{} line {}: {}", of.file, of.line, of.sql));
        format!("<failure message=\"{}\">{}</failure>", xml(&why), xml(&place))
    };
    case("the migration is applied", migration.took_s.unwrap_or(0.0), &outcome)
}

fn case(name: &str, seconds: f64, outcome: &str) -> String {
    format!(
        "<testcase classname=\"migration\" name=\"{}\" time=\"{seconds:.3}\">{outcome}</testcase>",
        xml(name)
    )
}

/// Text that XML 1.0 can hold, in an attribute as well.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in sanitise(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{junit, markdown};
    use crate::report::fixture;

    #[test]
    fn a_pull_request_says_what_failed_and_what_to_do() {
        let text = markdown(&fixture::migration::migrated());
        assert!(text.starts_with("## Migration under load: ❌ fail\n"), "{text}");
        assert!(text.contains("| `blocked > 1s` | 2.35 s the longest | **holds** |"), "{text}");
        assert!(
            text.contains("| 4 | `DROP INDEX orders_status` | not reached | – |  | 0 | – | – |"),
            "{text}"
        );
        assert!(text.contains("*Instead:* SET lock\\_timeout = '200ms'"), "{text}");
        assert_eq!(markdown(&fixture::healthy()), "");
    }

    #[test]
    fn a_test_runner_sees_a_case_for_the_migration_and_for_each_condition() {
        let text = junit(&fixture::migration::migrated());
        assert!(text.contains("tests=\"4\" failures=\"2\" errors=\"1\""), "{text}");
        assert!(
            text.contains("<failure message=\"could not create unique index &quot;orders_note&quot;"),
            "{text}"
        );
        assert!(text.contains("name=\"blocked &gt; 1s\""), "{text}");
        assert_eq!(junit(&fixture::healthy()), "");
    }
}
