//! How a load goes on: what it tells while it works, and what it says of itself at the end. Knows no server.

use std::time::{Duration, Instant};

use super::event::{LoadEvent, LoadSummary, Phase, TableSummary};

/// A load under way.
pub(super) struct Progress<'a> {
    tell: &'a mut (dyn FnMut(LoadEvent) + Send),
    summary: LoadSummary,
    phase_begun: Instant,
    table_begun: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn new(tell: &'a mut (dyn FnMut(LoadEvent) + Send)) -> Self {
        let now = Instant::now();
        Self { tell, summary: LoadSummary::default(), phase_begun: now, table_begun: now }
    }

    /// A phase begins, and with it ends the one before.
    pub(super) fn phase(&mut self, phase: Phase) {
        self.end_phase();
        self.summary.phases.push((phase, Duration::ZERO));
        self.phase_begun = Instant::now();
        (self.tell)(LoadEvent::PhaseBegun(phase));
    }

    fn end_phase(&mut self) {
        if let Some((_, duration)) = self.summary.phases.last_mut() {
            *duration = self.phase_begun.elapsed();
        }
    }

    /// A step of the phase begins, the `index`-th from 0 of so many.
    pub(super) fn step(&mut self, index: usize, of: usize, what: impl Into<String>) {
        (self.tell)(LoadEvent::Step { number: index + 1, of, what: what.into() });
    }

    /// Something that the user should know and that is no failure.
    pub(super) fn note(&mut self, note: String) {
        (self.tell)(LoadEvent::Note(note.clone()));
        self.summary.notes.push(note);
    }

    /// The rows of a table come next.
    pub(super) fn table(&mut self, table: &str, rows: u64) {
        let table = table.to_owned();
        (self.tell)(LoadEvent::TableBegun { table: table.clone(), rows });
        self.summary.tables.push(TableSummary { table, rows, bytes: 0, duration: Duration::ZERO });
        self.table_begun = Instant::now();
    }

    /// So many more of that table were sent.
    pub(super) fn rows_sent(&mut self, rows: u64, bytes: u64) {
        (self.tell)(LoadEvent::RowsSent { rows, bytes });
        if let Some(table) = self.summary.tables.last_mut() {
            table.bytes += bytes;
        }
    }

    /// The table has its rows.
    pub(super) fn end_table(&mut self) {
        let Some(table) = self.summary.tables.last_mut() else { return };
        table.duration = self.table_begun.elapsed();
        self.summary.rows += table.rows;
        self.summary.bytes += table.bytes;
        (self.tell)(LoadEvent::TableDone(table.clone()));
    }

    /// Rows of all tables that have theirs.
    pub(super) fn rows(&self) -> u64 {
        self.summary.rows
    }

    /// All is done.
    pub(super) fn end(mut self) -> LoadSummary {
        self.end_phase();
        self.summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_adds_up_to_what_is_said_at_the_end() {
        let mut told = vec![];
        let mut tell = |event: LoadEvent| told.push(event);
        let mut progress = Progress::new(&mut tell);
        progress.phase(Phase::Rows);
        for (table, rows) in [("a", 3), ("b", 4)] {
            progress.table(table, rows);
            progress.rows_sent(1, 10);
            progress.rows_sent(rows - 1, 20);
            progress.end_table();
        }
        assert_eq!(progress.rows(), 7);
        std::thread::sleep(Duration::from_millis(2));
        progress.phase(Phase::Analyze);
        progress.step(1, 2, "b");
        progress.note("late".to_owned());
        let summary = progress.end();
        assert_eq!(
            (summary.rows, summary.bytes, summary.notes.as_slice()),
            (7, 60, ["late".to_owned()].as_slice())
        );
        let phases: Vec<Phase> = summary.phases.iter().map(|(phase, _)| *phase).collect();
        assert_eq!(phases, [Phase::Rows, Phase::Analyze]);
        assert!(summary.phases[0].1 >= Duration::from_millis(2), "a phase lasts until the next one begins");
        let tables: Vec<(&str, u64)> =
            summary.tables.iter().map(|table| (table.table.as_str(), table.bytes)).collect();
        assert_eq!(tables, [("a", 30), ("b", 30)]);
        assert_eq!(told.len(), 12);
        assert_eq!(told[5], LoadEvent::TableBegun { table: "b".to_owned(), rows: 4 });
        assert_eq!(told[8], LoadEvent::TableDone(summary.tables[1].clone()));
        assert_eq!(told[10], LoadEvent::Step { number: 2, of: 2, what: "b".to_owned() });
    }
}
