//! The statements of a stage: what each costs as a table, and each with its text, its plans for each class of values, and where its
//! time went.

use std::collections::BTreeMap;

use super::blocks::render;
use super::html::{each, escape, escape_lines, folded, slug};
use crate::model::{PlanInfo, Report, Stage, StatementInfo};
use crate::report::format::{count, decimal, duration_us, percent, rate};
use crate::report::terminal::blocks;

/// Parts of a ledger that a statement names.
const PARTS_MAX: usize = 6;

/// The times of all, then a card for each, those first that took most of the clients' time.
pub(super) fn cards(report: &Report, stage: &Stage) -> String {
    let texts = plan_texts(report);
    let cost = |of: &StatementInfo| of.execute_us.mean.unwrap_or(0.0) * of.count as f64;
    let mut statements: Vec<&StatementInfo> = stage.statements.iter().collect();
    statements.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
    let all: f64 = statements.iter().map(|of| cost(of)).sum();
    if statements.is_empty() {
        return String::new();
    }
    let cards =
        statements.iter().map(|of| card(of, stage, if all > 0.0 { cost(of) / all } else { 0.0 }, &texts));
    let table = render(&blocks::statements(stage), 3, "statements");
    table + "<h3 id=\"statements-each\">Text and plans</h3>\n" + &cards.collect::<String>()
}

/// Text of each plan by its shape: it stands in the first stage that saw it.
fn plan_texts(report: &Report) -> BTreeMap<&str, &str> {
    let plans = report.stages.iter().flat_map(|stage| &stage.statements).flat_map(|of| &of.plans);
    plans.filter_map(|plan| Some((plan.shape.as_str(), plan.text.as_deref()?))).collect()
}

fn card(of: &StatementInfo, stage: &Stage, share: f64, texts: &BTreeMap<&str, &str>) -> String {
    let name = format!("{}.{}", of.transaction, of.name);
    let mean = of.execute_us.mean.map_or_else(String::new, |us| format!(", {} each", duration_us(us)));
    let per_s =
        if stage.duration_s > 0.0 { rate(of.count as f64 / stage.duration_s) } else { "0".to_owned() };
    let summary = format!("{name}: {} of the time in statements{mean}, {per_s}/s", percent(share));
    let mut inner = format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escape_lines(&of.sql));
    inner.push_str(&facts(of));
    if let Some(reason) = &of.no_plan {
        inner.push_str(&format!("<p class=\"dim\">No plan: {}</p>\n", escape(reason)));
    }
    for plan in &of.plans {
        inner.push_str(&plan_html(plan, texts));
    }
    if let Some(generic) = of.generic_plan.as_ref().filter(|generic| generic.differs) {
        let choice = if generic.is_chosen { "keep to" } else { "do not keep to" };
        inner.push_str(&format!(
            "<p>Sessions {choice} the generic plan: its cost is {}, that of plans for each execution {} with planning.</p>\n",
            decimal(generic.cost, 1),
            decimal(generic.custom_cost_mean, 1)
        ));
    }
    format!(
        "<div class=\"card\" id=\"statement-{}\">{}</div>\n",
        slug(&name),
        folded(&summary, false, &inner)
    )
}

fn facts(of: &StatementInfo) -> String {
    let mut facts: Vec<(&str, String)> = vec![
        (
            "executions",
            format!("{} ok, {} failed, {} without a row", count(of.count), count(of.errors), count(of.empty)),
        ),
        ("rows", count(of.rows)),
    ];
    if let Some(ledger) = &of.ledger {
        let mut parts: Vec<(String, f64)> = blocks::shares(ledger);
        parts.sort_by(|a, b| b.1.total_cmp(&a.1));
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(_, share)| *share >= 0.01)
            .take(PARTS_MAX)
            .map(|(part, share)| format!("{part} {}", percent(share)))
            .collect();
        facts.push(("its time", said.join(" · ")));
    }
    if !of.waits.is_empty() {
        let said: Vec<String> = of
            .waits
            .iter()
            .take(PARTS_MAX)
            .map(|wait| format!("{} {}", wait.event, percent(wait.share)))
            .collect();
        facts.push(("on the server", said.join(" · ")));
    }
    if let Some(server) = of.server.as_ref().filter(|server| !server.shared_by.is_empty()) {
        facts.push(("counted with", server.shared_by.join(", ")));
    }
    let items =
        each(&facts, |(label, text)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(label), escape(text)));
    format!("<dl>\n{items}</dl>\n")
}

fn plan_html(plan: &PlanInfo, texts: &BTreeMap<&str, &str>) -> String {
    let title = format!("Plan for {} values", plan.classes.join(", "));
    let text = plan.text.as_deref().or_else(|| texts.get(plan.shape.as_str()).copied());
    let text = text.map_or_else(String::new, |text| {
        format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", escape_lines(text))
    });
    format!("<h3>{}</h3><p>{}</p>\n{text}", escape(&title), escape(&plan.summary))
}
