//! What the sections of the report say, as blocks: the page draws them in its own way, so that whatever a terminal shows stands
//! there as well, and is worded once. Knows neither columns nor colours.

use super::page::{Page, Style};
use super::{
    capacity, compared, comparison, head, index, ledger, load, method, migration, stage_sections, statements,
    study,
};
use crate::model::{CompareReport, Comparison, Ledger, Report, Stage};

/// One thing that a section says. Its texts are harmless for a terminal, and not yet escaped for anything else.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) enum Block {
    /// Another part of the report begins.
    Divider(String),
    /// The name of a section, and what the reader must know to read it.
    Heading {
        /// The name.
        title: String,
        /// May be empty.
        note: String,
    },
    /// A line whose blanks count: of a plan.
    Line(String),
    /// Sentences.
    Paragraph {
        /// How far it is moved in, in columns.
        indent: usize,
        /// How it looks.
        style: Style,
        /// What it says.
        text: String,
    },
    /// A label and what is said of it. An empty label continues the one before.
    Fact {
        /// The label.
        label: String,
        /// How it looks.
        style: Style,
        /// What is said.
        text: String,
    },
    /// A command that can be copied.
    Command {
        /// What it is for.
        label: String,
        /// The command.
        text: String,
    },
    /// A table.
    Table(Table),
}

/// A table, whole.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct Table {
    /// The columns.
    pub(in crate::report) columns: Vec<TableColumn>,
    /// The rows, each with a cell for each column.
    pub(in crate::report) rows: Vec<Vec<TableCell>>,
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct TableColumn {
    /// Lines of its title. Where the first of several is empty, the column shares that of the column before.
    pub(in crate::report) title: Vec<String>,
    /// Whether it holds numbers.
    pub(in crate::report) is_number: bool,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::report) struct TableCell {
    /// Its lines.
    pub(in crate::report) lines: Vec<String>,
    /// How it looks.
    pub(in crate::report) style: Style,
    /// From 0, the best of its table, to 1, the worst.
    pub(in crate::report) heat: Option<f64>,
}

/// The verdict: its style, one word, a sentence.
pub(in crate::report) fn verdict(report: &Report) -> (Style, String, String) {
    head::verdict(report)
}

/// What was run against what, and how it ended.
pub(in crate::report) fn facts(report: &Report) -> Vec<Block> {
    let blocks = Page::record(|page| head::title(page, report));
    // The first line is the verdict.
    blocks.into_iter().filter(|block| !matches!(block, Block::Line(_))).collect()
}

/// What a study has found out.
pub(in crate::report) fn answer(report: &Report) -> Vec<Block> {
    Page::record(|page| {
        if let Some(study) = &report.study {
            study::section(page, study, true);
        }
        if let Some(experiment) = &report.index {
            index::section(page, experiment, true);
        }
        if let Some(migration) = &report.migration {
            migration::section(page, migration, true);
        }
        if let Some(capacity) = &report.capacity {
            capacity::section(page, capacity);
        }
    })
}

/// Each difference of a comparison, counters, plans, slices.
pub(in crate::report) fn differences(comparison: &Comparison) -> Vec<Block> {
    Page::record(|page| comparison::section(page, comparison, true))
}

/// Each limit with what was measured.
pub(in crate::report) fn budgets(report: &Report) -> Vec<Block> {
    Page::record(|page| head::budgets(page, &report.budgets))
}

/// The stages side by side.
pub(in crate::report) fn stages(report: &Report) -> Vec<Block> {
    Page::record(|page| load::comparison(page, &report.stages, true))
}

/// All that there is to say of one stage.
pub(in crate::report) fn stage(stage: &Stage) -> Vec<Block> {
    Page::record(|page| stage_sections(page, stage, true))
}

/// What each statement of a stage took.
pub(in crate::report) fn statements(stage: &Stage) -> Vec<Block> {
    Page::record(|page| statements::times(page, stage, true))
}

/// What a stage is called, with what must be known of it.
pub(in crate::report) fn stage_title(report: &Report, stage: &Stage) -> String {
    load::stage_title(report, stage)
}

/// What was put on, and for how long.
pub(in crate::report) fn stage_load(stage: &Stage) -> String {
    head::stage_load(stage)
}

/// The stage that matters most.
pub(in crate::report) fn key_stage(report: &Report) -> Option<&Stage> {
    super::shown_stages(report, false).into_iter().next()
}

/// What happened on the way, whether the measurement can be trusted, and where it was made.
pub(in crate::report) fn method(report: &Report) -> Vec<Block> {
    Page::record(|page| {
        method::events(page, &report.events, true);
        method::section(page, report, true);
    })
}

/// The verdict on two runs, or two groups of them.
pub(in crate::report) fn verdict_of_compared(report: &CompareReport) -> (Style, &'static str, String) {
    compared::verdict(report)
}

/// What is compared, and in what the two sides differ besides.
pub(in crate::report) fn facts_of_compared(report: &CompareReport) -> Vec<Block> {
    Page::record(|page| compared::sides(page, report))
}

/// What the clients' time consists of, in the order in which it happens: each part with its share.
pub(in crate::report) fn shares(ledger: &Ledger) -> Vec<(String, f64)> {
    ledger::shares(ledger)
}
