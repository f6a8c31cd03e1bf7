//! How much the system takes: the stage that breaks, how it comes back, how it warmed up.

use super::page::{INDENT, Page, Style};
use super::value::plural;
use crate::model::{Endurance, Recovery, Report, Stage, StageLoad, WarmUpInfo};
use crate::report::format::{NBSP, duration_us, length_s, per_call};

/// Lines of the top of the page: at which load it breaks and what it bore, and how it came back.
pub(super) fn summary(page: &mut Page, report: &Report) {
    if let Some(Endurance { breaking_point, held }) = &report.endurance {
        match (breaking_point, held) {
            (Some(breaking), held) => {
                let bore = held.as_ref().map_or_else(
                    || "no lower load was measured before it".to_owned(),
                    |held| format!("it bore {}", load(held)),
                );
                let at = match breaking.from_level {
                    Some(level) => format!("about {}/s, in stage {}", per_call(level), breaking.load.stage),
                    None => load(&breaking.load),
                };
                let text = format!("{at}: {}; {bore}", breaking.evidence);
                page.labelled(0, "breaks at", Style::Bad, &text);
            }
            (None, Some(held)) => {
                page.labelled(0, "bears", Style::Good, &format!("every stage, the highest {}", load(held)));
            }
            (None, None) => {}
        }
    }
    for (stage, recovery) in recoveries(&report.stages) {
        page.labelled(0, "recovery", Style::Plain, &recovered(stage, recovery));
    }
}

fn recoveries(stages: &[Stage]) -> impl Iterator<Item = (&Stage, &Recovery)> {
    stages.iter().filter_map(|stage| Some((stage, stage.recovery.as_ref()?)))
}

/// `900/s (stage peak)`.
fn load(load: &StageLoad) -> String {
    let level = match (load.offered_per_s, load.clients) {
        (Some(offered), _) => format!("{}/s", per_call(offered)),
        (None, Some(clients)) => plural(u64::from(clients), "client"),
        (None, None) => return format!("stage {}", load.stage),
    };
    format!("{level} (stage {})", load.stage)
}

fn recovered(stage: &Stage, recovery: &Recovery) -> String {
    let before = format!("the mean response of {} before it", duration_us(recovery.before_us));
    match recovery.took_s {
        Some(0.0) => format!("at once after {}: {before} never left stage {}", recovery.after, stage.name),
        Some(seconds) => format!("{} after {}, to {before}", length_s(seconds), recovery.after),
        None => {
            format!("not within stage {}: {before} did not come back after {}", stage.name, recovery.after)
        }
    }
}

/// How the warm-ups went that were to last until the system is steady.
pub(super) fn warm_ups(page: &mut Page, stages: &[Stage]) {
    let warm_ups: Vec<(&Stage, &WarmUpInfo)> =
        stages.iter().filter_map(|stage| Some((stage, stage.warm_up.as_ref()?))).collect();
    let (steady, unsteady): (Vec<_>, Vec<_>) = warm_ups.into_iter().partition(|(_, warm_up)| warm_up.steady);
    match steady.as_slice() {
        [] => {}
        [(stage, warm_up)] => {
            let since = warm_up.steady_since_s.unwrap_or(0.0);
            let text = format!(
                "steady after {}{}: response times rest since {}",
                length_s(stage.duration_s),
                if unsteady.is_empty() { String::new() } else { format!(" in {}", stage.name) },
                if since > 0.0 { format!("second{NBSP}{since:.0}") } else { "its beginning".to_owned() },
            );
            page.fact("warm-up", &text);
        }
        many => {
            let lengths = || many.iter().map(|(stage, _)| stage.duration_s);
            let (shortest, longest) = (lengths().fold(f64::MAX, f64::min), lengths().fold(0.0, f64::max));
            let text = format!(
                "steady in {} of them, after {} to {}",
                many.len(),
                length_s(shortest),
                length_s(longest)
            );
            page.fact("warm-ups", &text);
        }
    }
    let is_only = steady.is_empty() && unsteady.len() == 1;
    for (stage, warm_up) in unsteady {
        let name = if is_only { String::new() } else { format!("{}: ", stage.name) };
        let limit = length_s(warm_up.limit_s);
        let text = format!("{name}no steady state within {limit}: {}", waited_for(warm_up));
        page.labelled(INDENT, "warm-up", Style::Caution, &text);
    }
    let rare: std::collections::BTreeSet<&str> = stages
        .iter()
        .filter_map(|stage| stage.warm_up.as_ref())
        .filter(|warm_up| !warm_up.waits_for.iter().any(|wait| wait == "plans"))
        .flat_map(|warm_up| warm_up.unsettled_statements.iter().map(String::as_str))
        .collect();
    if !rare.is_empty() {
        let names: Vec<&str> = rare.into_iter().collect();
        let text = format!("too rare for every connection to have settled their plans: {}", names.join(", "));
        page.fact("", &text);
    }
}

fn waited_for(warm_up: &WarmUpInfo) -> String {
    let words = |wait: &String| match wait.as_str() {
        "response" => "response times still changed".to_owned(),
        "answers" => "there were too few answers to tell".to_owned(),
        "connections" => "connections were still being made".to_owned(),
        "plans" => format!("plans were not settled of {}", warm_up.unsettled_statements.join(", ")),
        other => other.to_owned(),
    };
    warm_up.waits_for.iter().map(words).collect::<Vec<_>>().join("; ")
}
