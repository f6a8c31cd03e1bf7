//! The server's plans: of each statement in one line and as EXPLAIN shows it, where they changed, and where two sides differ.

use super::page::{INDENT, Page, Style};
use super::statements::{key, names};
use super::value::plural;
use crate::model::{PlanChangeInfo, PlanDifference, PlanInfo, PlanName, Stage, StatementInfo};
use crate::report::format::decimal;

/// Changes, and differing statements, that a summary shows.
const SHOWN: usize = 6;

/// Plans that became others while the stage went on.
pub(super) fn changes(page: &mut Page, stage: &Stage, full: bool) {
    let changes = &stage.plan_changes;
    if changes.is_empty() {
        return;
    }
    page.heading("plan changes", "looked for every second");
    let shown = if full { changes.len() } else { changes.len().min(SHOWN) };
    for change in &changes[..shown] {
        put_change(page, change);
    }
    if shown < changes.len() {
        let others = plural((changes.len() - shown) as u64, "change");
        page.paragraph(INDENT, Style::Dim, &format!("and {others} more; --full shows all"));
    }
}

fn put_change(page: &mut Page, change: &PlanChangeInfo) {
    let cause = change.cause.as_deref().unwrap_or("no cause was seen");
    let title = format!(
        "at {} s: {} ({}), {cause}",
        decimal(change.t_s, 1),
        change.statement,
        change.classes.join(", ")
    );
    page.paragraph(INDENT, Style::Bold, &title);
    page.labelled(INDENT + 2, "from", Style::Plain, &change.from);
    page.labelled(INDENT + 2, "to", Style::Plain, &change.to);
}

/// Every plan of every statement.
pub(super) fn section(page: &mut Page, stage: &Stage) {
    let has_any = |statement: &&StatementInfo| !statement.plans.is_empty() || statement.no_plan.is_some();
    if stage.statements.iter().find(has_any).is_none() {
        return;
    }
    page.heading("plans", "of the server, for values that the workload draws");
    let names = names(&stage.statements);
    for statement in stage.statements.iter().filter(has_any) {
        let name = &names[&key(statement)];
        if let Some(reason) = &statement.no_plan {
            page.paragraph(INDENT, Style::Plain, &format!("{name}: no plan, {reason}"));
        }
        for plan in &statement.plans {
            put_plan(page, name, plan, stage.duration_s);
        }
        if let Some(generic) = statement.generic_plan.as_ref().filter(|generic| generic.differs) {
            let choice = if generic.is_chosen { "keep to" } else { "do not keep to" };
            let why = match generic.plan_cache_mode.as_deref() {
                None | Some("auto") => String::new(),
                Some(mode) => format!(", by plan_cache_mode={mode}"),
            };
            let text = format!(
                "sessions {choice} the generic plan{why}: its cost is {}, that of plans for each execution {} with planning",
                decimal(generic.cost, 1),
                decimal(generic.custom_cost_mean, 1)
            );
            page.paragraph(INDENT + 2, Style::Dim, &text);
        }
    }
}

/// One line, then the text, where it stands in this stage.
fn put_plan(page: &mut Page, name: &str, plan: &PlanInfo, duration_s: f64) {
    // A plan that was there from the first second to the last needs no times.
    let is_whole = plan.first_seen_s < 1.0 && plan.last_seen_s >= duration_s - 1.0;
    let times = if is_whole {
        String::new()
    } else {
        format!(", seen from {} s to {} s", decimal(plan.first_seen_s, 1), decimal(plan.last_seen_s, 1))
    };
    let title = format!("{name} ({}{times}): {}", plan.classes.join(", "), plan.summary);
    page.paragraph(INDENT, Style::Bold, &title);
    match &plan.text {
        Some(text) => {
            for line in text.lines() {
                page.line(&[(Style::Plain, &" ".repeat(INDENT + 2)), (Style::Plain, line)]);
            }
        }
        None => page.paragraph(INDENT + 2, Style::Dim, &format!("shape {}, shown above", plan.shape)),
    }
}

/// Statements whose plans differ between A and B.
pub(super) fn differences(page: &mut Page, differences: &[PlanDifference], full: bool) {
    if differences.is_empty() {
        return;
    }
    page.heading("plans", "where A and B differ");
    let shown = if full { differences.len() } else { differences.len().min(SHOWN) };
    for difference in &differences[..shown] {
        let stage = difference.stage.as_ref().map_or_else(String::new, |stage| format!("{stage}: "));
        let title = format!("{stage}{} ({})", difference.statement, difference.class);
        page.paragraph(INDENT, Style::Bold, &title);
        page.labelled(INDENT + 2, "A", Style::Plain, &sides(&difference.a));
        page.labelled(INDENT + 2, "B", Style::Plain, &sides(&difference.b));
    }
    if shown < differences.len() {
        let others = plural((differences.len() - shown) as u64, "plan");
        page.paragraph(INDENT, Style::Dim, &format!("and {others} more; --full shows all"));
    }
}

fn sides(plans: &[PlanName]) -> String {
    plans.iter().map(|plan| plan.summary.as_str()).collect::<Vec<_>>().join("; at other times ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GenericPlanInfo;
    use crate::report::fixture;

    const SCAN: &str = "Seq Scan on orders";
    const LOOK_UP: &str = "Index Scan using orders_customer on orders";

    fn stage() -> Stage {
        let mut stage = fixture::healthy().stages.remove(1);
        let plan = |summary: &str, classes: &[&str], shape: &str| PlanInfo {
            classes: classes.iter().map(|&class| class.to_owned()).collect(),
            shape: shape.to_owned(),
            summary: summary.to_owned(),
            text: Some(format!("{summary}  (cost=0.00..8.31 rows=1 width=4)\n  Filter: (id = 1)\n")),
            last_seen_s: stage.duration_s,
            ..PlanInfo::default()
        };
        let (look_up, scan) =
            (plan(LOOK_UP, &["rare", "generic"], "8c1f"), plan(SCAN, &["common", "rare"], "07aa"));
        let late = PlanInfo { text: None, first_seen_s: 31.04, ..scan };
        let statement = &mut stage.statements[0];
        statement.plans = vec![look_up, late];
        statement.generic_plan = Some(GenericPlanInfo {
            differs: true,
            cost: 8.31,
            custom_cost_mean: 14.5,
            is_chosen: true,
            plan_cache_mode: Some("auto".to_owned()),
        });
        stage.statements[1].no_plan = Some("permission denied for table orders (SQLSTATE 42501)".to_owned());
        stage.plan_changes = vec![PlanChangeInfo {
            t_s: 31.04,
            statement: "browse.product_by_id".to_owned(),
            classes: vec!["rare".to_owned()],
            from_shape: "8c1f".to_owned(),
            from: LOOK_UP.to_owned(),
            to_shape: "07aa".to_owned(),
            to: SCAN.to_owned(),
            cause: Some("index orders_customer was dropped".to_owned()),
        }];
        stage
    }

    fn lines(put: impl FnOnce(&mut Page)) -> Vec<String> {
        let mut page = Page::new(80, false);
        put(&mut page);
        page.finish().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_change_is_told_with_its_cause_and_both_plans() {
        assert_eq!(
            lines(|page| changes(page, &stage(), false)),
            [
                "PLAN CHANGES  looked for every second",
                "  at 31.0 s: browse.product_by_id (rare), index orders_customer was dropped",
                "    from        Index Scan using orders_customer on orders",
                "    to          Seq Scan on orders",
            ]
        );
        let mut many = stage();
        many.plan_changes = vec![many.plan_changes[0].clone(); SHOWN + 2];
        let short = lines(|page| changes(page, &many, false));
        assert_eq!(short.last().map(String::as_str), Some("  and 2 changes more; --full shows all"));
        assert_eq!(lines(|page| changes(page, &many, true)).len(), 1 + 3 * (SHOWN + 2));
        many.plan_changes.clear();
        assert_eq!(lines(|page| changes(page, &many, true)), [""; 0]);
    }

    #[test]
    fn each_plan_is_told_in_one_line_and_as_the_server_shows_it() {
        let lines = lines(|page| section(page, &stage()));
        assert_eq!(lines[0], "PLANS  of the server, for values that the workload draws");
        let title = |words: &str| lines.iter().position(|line| line.contains(words)).expect("it is told");
        let looked_up = title("(rare, generic): Index Scan using");
        assert!(lines[looked_up + 1..].iter().take(3).any(|line| line.starts_with("    Index Scan using")));
        assert!(lines.iter().any(|line| line == "      Filter: (id = 1)"), "{lines:?}");
        title("(common, rare, seen from 31.0 s to");
        title("shape 07aa, shown above");
        title("sessions keep to the generic plan: its cost is 8.3");
        title("no plan, permission denied for table orders");
        let mut forced = stage();
        if let Some(generic) = &mut forced.statements[0].generic_plan {
            (generic.is_chosen, generic.plan_cache_mode) = (false, Some("force_custom_plan".to_owned()));
        }
        let page = self::lines(|page| section(page, &forced)).join(" ");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            page.contains("do not keep to the generic plan, by plan_cache_mode=force_custom_plan:"),
            "{page}"
        );
    }

    #[test]
    fn what_differs_between_two_sides_is_told_of_both() {
        let name = |summary: &str| PlanName { shape: summary.to_owned(), summary: summary.to_owned() };
        let difference = PlanDifference {
            stage: None,
            statement: "checkout.take_stock".to_owned(),
            class: "typical".to_owned(),
            a: vec![name(SCAN)],
            b: vec![name(LOOK_UP), name(SCAN)],
        };
        assert_eq!(
            lines(|page| differences(page, &[difference], false)),
            [
                "PLANS  where A and B differ",
                "  checkout.take_stock (typical)",
                "    A           Seq Scan on orders",
                "    B           Index Scan using orders_customer on orders; at other times Seq",
                "                Scan on orders",
            ]
        );
    }
}
