//! What the sessions of the pool were in: as a bar for each stage, and over time. An event has one colour in both.

use super::bars::{self, Bar, Part};
use super::chart::{Merge, Role, Series};
use crate::model::{Report, Stage, WaitIntervalInfo};
use crate::report::format::decimal;

/// Events that have a colour of their own.
const EVENTS_MAX: usize = 9;
/// Stages with a bar each.
const STAGES_MAX: usize = 16;
/// What all others are called together, and their colour.
const OTHER: (&str, u8) = ("other", 12);
/// Colours of the events by how they begin, those of the same part of a ledger first: CPU, lock, I/O, held idle, network, else.
const COLOURS: [(&str, &[u8]); 5] =
    [("CPU", &[6]), ("Lock:", &[8, 3]), ("IO:", &[9, 2]), ("idle in transaction", &[4]), ("Client:", &[5])];
/// And of all others, or where these are taken.
const MORE_COLOURS: [u8; 11] = [10, 7, 11, 1, 2, 3, 5, 4, 9, 6, 8];

/// The stages of which it is told.
fn stages(report: &Report) -> impl Iterator<Item = &Stage> {
    report.stages.iter().filter(|stage| stage.measured && !stage.waits.is_empty()).take(STAGES_MAX)
}

/// The most frequent events of all stages, in their order.
pub(super) fn events(report: &Report) -> Vec<String> {
    let mut sums: Vec<(&str, f64)> = Vec::new();
    for wait in stages(report).flat_map(|stage| &stage.waits) {
        match sums.iter_mut().find(|(event, _)| *event == wait.event) {
            Some((_, sum)) => *sum += wait.share,
            None => sums.push((wait.event.as_str(), wait.share)),
        }
    }
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    sums.into_iter().take(EVENTS_MAX).map(|(event, _)| event.to_owned()).collect()
}

/// The events and all others, each with a colour that no other has.
fn coloured(events: &[String]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for event in events {
        let own = COLOURS.iter().find(|(begin, _)| event.starts_with(begin)).map_or(&[][..], |(_, own)| *own);
        let mut free =
            own.iter().chain(&MORE_COLOURS).filter(|colour| parts.iter().all(|(_, of)| of != *colour));
        let colour = free.next().copied().unwrap_or(OTHER.1);
        parts.push((event.clone(), colour));
    }
    parts.push((OTHER.0.to_owned(), OTHER.1));
    parts
}

/// A bar for each stage.
pub(super) fn by_stage(report: &Report) -> String {
    let events = events(report);
    if events.is_empty() {
        return String::new();
    }
    let bar = |stage: &Stage| {
        let share = |event: &String| {
            stage.waits.iter().filter(|wait| wait.event == *event).map(|wait| wait.share).sum::<f64>()
        };
        let mut shares: Vec<f64> = events.iter().map(share).collect();
        let all: f64 = stage.waits.iter().map(|wait| wait.share).sum();
        shares.push((all - shares.iter().sum::<f64>()).max(0.0));
        let sessions: f64 = stage.waits.iter().map(|wait| wait.sessions_mean).sum();
        Bar { name: stage.name.clone(), whole: decimal(sessions, 1), shares }
    };
    let bars: Vec<Bar> = stages(report).map(bar).collect();
    bars::stacked(
        "Waits on the server",
        "What the active sessions of the pool were in, sampled, by stage.",
        "sessions",
        &coloured(&events),
        &bars,
    )
}

/// Sessions in each of the events, then in all others, between two times.
pub(super) fn row(interval: &WaitIntervalInfo, events: &[String]) -> Vec<Option<f64>> {
    let mut sessions: Vec<f64> =
        events.iter().map(|event| interval.sessions.get(event).copied().unwrap_or(0.0)).collect();
    let all: f64 = interval.sessions.values().sum();
    sessions.push((all - sessions.iter().sum::<f64>()).max(0.0));
    sessions.into_iter().map(Some).collect()
}

/// The columns that such rows make, those left out in which nobody was ever seen.
pub(super) fn series(columns: &[Vec<Option<f64>>], events: &[String]) -> Vec<Series> {
    coloured(events)
        .into_iter()
        .zip(columns)
        .filter(|(_, column)| column.iter().flatten().any(|sessions| *sessions >= 0.0005))
        .map(|((name, colour), column)| Series::new(name, Role::Stacked, colour, column.clone(), Merge::Mean))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::fixture;

    #[test]
    fn what_has_no_colour_of_its_own_is_among_the_others() {
        let interval = WaitIntervalInfo {
            sessions: BTreeMap::from([
                ("CPU".to_owned(), 2.0),
                ("IO:WALSync".to_owned(), 0.5),
                ("Lock:tuple".to_owned(), 0.25),
            ]),
            ..WaitIntervalInfo::default()
        };
        let events = ["Lock:tuple", "CPU", "IPC:never"].map(str::to_owned);
        let row = row(&interval, &events);
        assert_eq!(row, [Some(0.25), Some(2.0), Some(0.0), Some(0.5)]);
        let columns: Vec<Vec<Option<f64>>> = row.into_iter().map(|value| vec![value]).collect();
        let series = series(&columns, &events);
        let shown: Vec<(&str, u8)> = series.iter().map(|one| (one.label.as_str(), one.colour)).collect();
        assert_eq!(shown, [("Lock:tuple", 8), ("CPU", 6), ("other", 12)]);
    }

    #[test]
    fn an_event_has_one_colour_and_that_of_its_part_of_a_ledger_where_it_is_free() {
        let events =
            ["Lock:tuple", "Lock:transactionid", "Lock:relation", "IO:WALSync", "CPU", "LWLock:WALWrite"];
        let colours: Vec<u8> =
            coloured(&events.map(str::to_owned)).into_iter().map(|(_, colour)| colour).collect();
        assert_eq!(colours, [8, 3, 10, 9, 6, 7, 12]);
        let bars = by_stage(&fixture::healthy());
        assert!(bars.contains("<i class=\"b8\"></i>Lock:transactionid"), "{bars}");
        assert!(bars.contains("<i class=\"b6\"></i>CPU"), "{bars}");
    }
}
