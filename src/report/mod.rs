//! The report as a person or a program reads it: pure functions of the model. No input or output happens here, and no
//! number is computed that the model does not hold, apart from sums, shares and units.

mod csv;
mod format;
mod hlog;
mod junit;
mod markdown;
mod page;
mod schema;
mod terminal;
mod text;

#[cfg(test)]
mod fixture;

pub use csv::{Table, csv};
pub use format::{bytes, count, decimal, duration_us, per_call, percent, rate};
pub use hlog::{Hlog, HlogError};
pub use junit::junit;
pub use markdown::markdown;
pub use page::{page as html, page_of_compared as html_of_compared};
pub use schema::{of_comparisons as schema_of_comparisons, of_reports as schema_of_reports};
pub use terminal::{Detail, Options, calibration, compared, difference, render as terminal, runs, trend};
pub use text::{cut, sanitise, width, wrap};

use crate::model::Report;

/// The report as pretty JSON without a final newline: keys in the order of the model, so that two reports can be compared by
/// line.
///
/// # Panics
/// Never: a report holds string keys and finite numbers only, and serde writes others as `null`.
#[must_use]
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("every key of a report is a string")
}

#[cfg(test)]
mod tests {
    use super::{fixture, json};
    use crate::model::Report;

    #[test]
    fn json_is_read_back_as_the_same_report() {
        for (name, report) in fixture::all() {
            let read: Report = serde_json::from_str(&json(&report)).expect("the JSON of a report");
            assert!(read == report, "{name} is read back as another report");
        }
    }

    #[test]
    fn json_of_a_short_run() {
        insta::assert_snapshot!("cut_off.json", json(&fixture::cut_off()));
    }
}
