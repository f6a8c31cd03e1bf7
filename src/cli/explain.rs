//! `dbdyno explain`: what a finding means, when it is made and what to do.

use crate::model::catalogue::{self, Family, FindingEntry};
use crate::report;

use super::args::ExplainArguments;
use super::plan::UsageError;
use super::{CommandError, code, output};

/// Columns before what is said of an entry.
const LABEL: usize = 12;
/// Columns of an id in the list; the longest has as many.
const ID: usize = 30;

pub(super) fn explain(arguments: &ExplainArguments) -> Result<u8, CommandError> {
    let text = match &arguments.id {
        None if arguments.json => output::pretty(&catalogue::all().collect::<Vec<_>>()),
        None => list(output::width_of_page()),
        Some(id) => {
            let entry = catalogue::entry(id).ok_or_else(|| unknown(id))?;
            if arguments.json { output::pretty(entry) } else { page(entry, output::width_of_page()) }
        }
    };
    output::print(&text)?;
    Ok(code::OK)
}

fn unknown(id: &str) -> UsageError {
    let like = catalogue::like(id);
    let hint = if like.is_empty() { String::new() } else { format!("; did you mean {}?", like.join(", ")) };
    UsageError::NoFinding { id: id.to_owned(), hint }
}

/// All of them, by what they are about.
fn list(width: usize) -> String {
    let mut text = String::new();
    let mut family: Option<Family> = None;
    for entry in catalogue::all() {
        if family.replace(entry.family) != Some(entry.family) {
            text += &format!(
                "{}{}\n",
                if text.is_empty() { "" } else { "\n" },
                entry.family.to_string().to_uppercase()
            );
        }
        let lines = report::wrap(entry.title, width.saturating_sub(ID + 3));
        text +=
            &format!("  {:<ID$} {}\n", entry.id, lines.join(&format!("\n{:indent$}", "", indent = ID + 3)));
    }
    text + "\ndbdyno explain ID says when a finding is made, what it means, what proves it and what to do.\n"
}

fn page(entry: &FindingEntry, width: usize) -> String {
    let mut text = format!("{} ({})\n{}\n\n", entry.id, entry.family, entry.title);
    let said = [
        ("made when", entry.condition),
        ("means", entry.meaning),
        ("evidence", entry.evidence),
        ("causes", entry.causes),
        ("remedy", entry.remedy),
    ];
    for (label, words) in said {
        let lines = report::wrap(words, width.saturating_sub(LABEL));
        text += &format!("{label:<LABEL$}{}\n", lines.join(&format!("\n{:LABEL$}", "")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_stands_in_the_list_and_fits_the_page() {
        let text = list(80);
        for entry in catalogue::all() {
            assert!(text.contains(&format!("  {} ", entry.id)), "{} is missing", entry.id);
            assert!(entry.id.len() <= ID, "{} is longer than its column", entry.id);
            let page = page(entry, 80);
            for line in text.lines().chain(page.lines()) {
                assert!(report::width(line) <= 92, "too wide: {line}");
            }
            assert!(page.contains("\nremedy      "), "{page}");
        }
    }
}
