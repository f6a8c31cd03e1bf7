//! A report for a pull request, as Markdown that code hosts render: the verdict, what was judged, the answer, a few figures and
//! findings. Whatever comes from a database or a file is escaped: it is shown, never obeyed.

mod kinds;
mod text;

use std::fmt::Write as _;

use super::format::{NBSP, duration_us, percent, rate};
use super::terminal::headline;
use crate::model::{BudgetResult, Finding, Report, Severity, Stage, Verdict};
use text::{code, escaped};

/// Findings that are shown whole; the others are named.
const FINDINGS_SHOWN: usize = 3;
/// Transactions of a table.
const ROWS_MAX: usize = 20;

/// The report as Markdown, with a line end after the last line.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut page = String::new();
    title(&mut page, report);
    budgets(&mut page, &report.budgets);
    kinds::answer(&mut page, report);
    if kinds::has_stages_of_its_own(report) {
        figures(&mut page, report);
    }
    findings(&mut page, report);
    footer(&mut page, report);
    page.replace(NBSP, " ")
}

fn badge(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅ pass",
        Verdict::Fail => "❌ fail",
        Verdict::Inconclusive => "⚠️ inconclusive",
        Verdict::None => "ℹ️ measured",
    }
}

fn title(page: &mut String, report: &Report) {
    let invalid = report.findings.iter().any(|finding| finding.severity == Severity::Invalid);
    let badge = match &report.migration {
        _ if invalid => "🚫 invalid",
        // A check has a verdict in any case: without one it could not tell.
        Some(_) if report.verdict == Verdict::None => badge(Verdict::Inconclusive),
        _ => badge(report.verdict),
    };
    let what = match report.kind.as_str() {
        "migration" => "Migration under load".to_owned(),
        "pool" => format!("Pool of {}", escaped(&report.workload.name)),
        "index" => format!("Indexes of {}", escaped(&report.workload.name)),
        "capacity" => format!("Capacity for {}", escaped(&report.workload.name)),
        "ab" => format!("Comparison on {}", escaped(&report.workload.name)),
        _ => format!("Load test of {}", escaped(&report.workload.name)),
    };
    let _ = writeln!(page, "## {what}: {badge}\n");
    if report.migration.is_none() {
        let (_, sentence) = headline(report);
        let _ = writeln!(page, "{}\n", escaped(&sentence));
    }
    if report.ended != "completed" {
        let _ = writeln!(page, "The run did not come to its planned end: `{}`.\n", escaped(&report.ended));
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "kept",
        Verdict::Fail => "**broken**",
        Verdict::Inconclusive | Verdict::None => "unclear",
    }
}

fn budgets(page: &mut String, budgets: &[BudgetResult]) {
    if budgets.is_empty() {
        return;
    }
    page.push_str("| budget | limit | measured | stage | |\n|---|---|--:|---|---|\n");
    for budget in budgets {
        let reason =
            budget.reason.as_ref().map_or_else(String::new, |reason| format!(": {}", escaped(reason)));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {}{reason} |",
            code(&budget.metric),
            code(&budget.limit),
            escaped(&budget.measured),
            escaped(&budget.stage),
            word(budget.verdict)
        );
    }
    page.push('\n');
}

/// Throughput and response times of the measured stages, by transaction.
fn figures(page: &mut String, report: &Report) {
    let measured: Vec<&Stage> = report.stages.iter().filter(|stage| stage.measured).collect();
    let rows = measured.iter().flat_map(|stage| stage.transactions.iter().map(move |of| (stage, of)));
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    page.push_str("| stage | transaction | per s | p50 | p99 | not ok |\n|---|---|--:|--:|--:|--:|\n");
    for (stage, of) in rows.iter().take(ROWS_MAX) {
        let time = |us: Option<u64>, quantile: f64| {
            let bound = of.response_us.censored_from.is_some_and(|from| quantile >= from);
            us.map_or_else(
                || "–".to_owned(),
                |us| format!("{}{}", if bound { "> " } else { "" }, duration_us(us as f64)),
            )
        };
        let bad = if of.count > 0 { of.count.saturating_sub(of.ok) as f64 / of.count as f64 } else { 0.0 };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            escaped(&stage.name),
            escaped(&of.name),
            rate(of.per_s),
            time(of.response_us.p50, 0.5),
            time(of.response_us.p99, 0.99),
            percent(bad)
        );
    }
    if rows.len() > ROWS_MAX {
        let _ = writeln!(page, "\n{} more: see the report.", rows.len() - ROWS_MAX);
    }
    page.push('\n');
}

fn findings(page: &mut String, report: &Report) {
    // Of a migration what it did stands first; the machine's moods count only where they make it invalid.
    let is_told = |finding: &&Finding| {
        report.migration.is_none()
            || finding.id.starts_with("migration-")
            || finding.severity == Severity::Invalid
    };
    let told: Vec<&Finding> = report.findings.iter().filter(is_told).collect();
    let shown = if report.migration.is_some() { told.len() } else { FINDINGS_SHOWN };
    for finding in told.iter().take(shown) {
        let _ = write!(
            page,
            "**{}** ({})  \n{}  \n*Instead:* {}\n\n",
            escaped(&finding.title),
            code(&finding.id),
            escaped(&finding.evidence),
            escaped(&finding.remedy)
        );
    }
    let more: Vec<String> = told.iter().skip(shown).map(|finding| code(&finding.id)).collect();
    if !more.is_empty() {
        let _ = writeln!(page, "Also: {}\n", more.join(", "));
    }
}

fn footer(page: &mut String, report: &Report) {
    let target = &report.target;
    let _ = writeln!(
        page,
        "<sub>workload {} on {} {} · dbdyno {} · run {}</sub>",
        escaped(&report.workload.name),
        escaped(&target.engine),
        escaped(&target.version),
        escaped(&report.dbdyno_version),
        escaped(&report.id)
    );
}

#[cfg(test)]
mod tests {
    use super::markdown;
    use crate::model::DdlAlgorithm;
    use crate::report::fixture;

    /// Those that differ in what stands on the page.
    const GOLDEN: [&str; 8] = [
        "healthy",
        "overloaded",
        "study",
        "study_of_rates",
        "comparison",
        "index",
        "migration",
        "generator_bound",
    ];

    #[test]
    fn every_kind_of_report_as_it_stands_in_a_pull_request() {
        let mut compared = 0;
        for (name, report) in fixture::all() {
            let text = markdown(&report);
            assert!(text.starts_with("## ") && text.ends_with("</sub>\n"), "{name}: {text}");
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{name}: {text:?}");
            if GOLDEN.contains(&name) {
                compared += 1;
                insta::assert_snapshot!(format!("{name}.md"), text);
            }
        }
        assert_eq!(compared, GOLDEN.len());
    }

    #[test]
    fn a_pull_request_says_what_failed_and_what_to_do() {
        let text = markdown(&fixture::migration::migrated());
        assert!(text.starts_with("## Migration under load: ❌ fail\n"), "{text}");
        assert!(text.contains("| `blocked > 1s` | 2.35 s the longest | **holds** |"), "{text}");
        assert!(
            text.contains("| 4 | `DROP INDEX orders_status` | not reached | – |  | 0 | – | – |  |"),
            "{text}"
        );
        assert!(text.contains("| 0 | – | – | rewrote orders; scanned orders |"), "{text}");
        assert!(text.contains("| 0 | – | – | **failed**: could not create unique index"), "{text}");
        assert!(text.contains("| advance\\_order | 1 | 9 | 14.0 s | 2.35 s | 3 × 0A000 |"), "{text}");
        assert!(text.contains("| 2 | orders | 400 000 000 |"), "{text}");
        assert!(text.contains("*Instead:* SET lock\\_timeout = '200ms'"), "{text}");
    }

    #[test]
    fn a_change_of_mariadb_says_by_which_algorithm_and_under_which_lock() {
        let mut report = fixture::migration::migrated();
        let migration = report.migration.as_mut().expect("it is one");
        migration.statements[1].algorithm = Some(DdlAlgorithm {
            algorithm: Some("COPY".to_owned()),
            lock: Some("SHARED".to_owned()),
            evidence: "60228 rows were copied".to_owned(),
        });
        let text = markdown(&report);
        assert!(text.contains("| `ALGORITHM=COPY, LOCK=SHARED`; rewrote orders; scanned orders |"), "{text}");
    }

    #[test]
    fn what_comes_from_a_database_is_shown_and_never_obeyed() {
        let mut report = fixture::healthy();
        report.workload.name = "<script>alert(1)</script>".to_owned();
        report.stages[1].transactions[0].name = "a|b](http://x) `c`\n# d".to_owned();
        report.budgets[0].metric = "`; rm -rf".to_owned();
        report.findings[0].title = "![x](http://x/y.png) @all".to_owned();
        let text = markdown(&report);
        assert!(!text.contains("<script"), "{text}");
        assert!(text.contains("&lt;script"), "{text}");
        assert!(text.contains("a\\|b\\](http://x) \\`c\\` \\# d"), "{text}");
        assert!(!text.contains("![x]") && !text.contains(" @all"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("# ")), "{text}");
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let bars = row.replace("\\|", "").matches('|').count();
            assert!((4..=9).contains(&bars), "a cell breaks out of {row}");
        }
    }
}
