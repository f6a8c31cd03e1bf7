//! Charts as data for the script of the page, each with its title, its words for who does not see it, and its table. Knows nothing
//! of reports.

use serde::{Serialize, Serializer};

use super::html::{escape, folded, table};
use crate::report::format::{DASH, NBSP, bytes, decimal, duration_us, percent, rate};

/// Rows of the table below a chart: more is no reading.
const ROWS_MAX: usize = 60;

/// A number with four significant digits, which no picture needs more of, in as few characters as it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Short(pub(super) f64);

impl Serialize for Short {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0;
        if !value.is_finite() {
            return serializer.serialize_none();
        }
        let digits = if value == 0.0 { 0.0 } else { 3.0 - value.abs().log10().floor() };
        let scale = 10_f64.powf(digits.clamp(0.0, 12.0));
        let rounded = (value * scale).round() / scale;
        if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
            // A whole number below 10^15: the cast cannot lose anything.
            #[expect(clippy::cast_possible_truncation)]
            return serializer.serialize_i64(rounded as i64);
        }
        serializer.serialize_f64(rounded)
    }
}

/// What an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    /// Seconds since the run began.
    Seconds,
    /// Microseconds.
    Us,
    /// Something for each second.
    PerSecond,
    /// Bytes for each second.
    BytesPerSecond,
    /// Things.
    Count,
    /// From 0 to 1.
    Share,
    /// How many tens what lies beyond a quantile is smaller by: 1 is 90 %, 2 is 99 %.
    Percentile,
}

impl Unit {
    /// A value for a person.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{}{NBSP}s", decimal(value, usize::from(value.fract() != 0.0))),
            Self::Us => duration_us(value),
            Self::PerSecond => rate(value),
            Self::BytesPerSecond => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let whole = value.max(0.0).round() as u64;
                format!("{}/s", bytes(whole))
            }
            Self::Count => decimal(value, usize::from(value.fract() != 0.0)),
            Self::Share => percent(value),
            Self::Percentile => percentile(value),
        }
    }
}

/// `99.9 %` of 3.
fn percentile(beyond: f64) -> String {
    let quantile = 1.0 - 10_f64.powf(-beyond);
    let digits = if quantile < 0.989 {
        0
    } else if quantile < 0.9989 {
        1
    } else {
        2
    };
    let text = decimal(quantile * 100.0, digits);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{NBSP}%")
}

/// How a row of values is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// A line.
    Line,
    /// A line with what is below it filled.
    Area,
    /// An area that lies upon the stacked ones before it: together they are a whole. Its colour is one of the stacked bars.
    Stacked,
    /// A broken line: a plan, a limit.
    Plan,
    /// A smooth line that was computed.
    Fit,
    /// Points by themselves.
    Points,
    /// Bars from nothing.
    Bars,
    /// The lower end of a band or an interval around the values before.
    Low,
    /// The upper end of it.
    High,
}

/// How several values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// Their mean.
    Mean,
    /// The largest: the slowest second.
    Max,
    /// The smallest.
    Min,
}

impl Merge {
    /// One of several; none of none.
    pub(super) fn of(self, values: &[Option<f64>]) -> Option<f64> {
        let there = values.iter().flatten().copied();
        match self {
            Self::Mean => {
                let (sum, number) = there.fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
                (number > 0).then(|| sum / f64::from(number))
            }
            Self::Max => there.reduce(f64::max),
            Self::Min => there.reduce(f64::min),
        }
    }
}

/// One row of values over the axis of its chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Series {
    pub(super) label: String,
    pub(super) role: Role,
    /// Number of its colour, from 1.
    pub(super) colour: u8,
    #[serde(serialize_with = "short")]
    pub(super) values: Vec<Option<f64>>,
    #[serde(skip)]
    pub(super) merge: Merge,
}

impl Series {
    pub(super) fn new(
        label: impl Into<String>,
        role: Role,
        colour: u8,
        values: Vec<Option<f64>>,
        merge: Merge,
    ) -> Self {
        Self { label: label.into(), role, colour, values, merge }
    }

    fn is_an_end(&self) -> bool {
        matches!(self.role, Role::Low | Role::High)
    }
}

fn short<S: Serializer>(values: &[Option<f64>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| value.map(Short)))
}

fn short_all<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| Short(*value)))
}

/// A line across the chart at a place of its axis.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Mark {
    pub(super) at: Short,
    pub(super) label: String,
}

/// One chart.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Chart {
    /// One of a kind in the page.
    pub(super) id: String,
    #[serde(skip)]
    pub(super) title: String,
    /// How to read it.
    #[serde(skip)]
    pub(super) note: String,
    /// What the axis is, for the table and the readout.
    pub(super) x_label: String,
    pub(super) x: Unit,
    pub(super) y: Unit,
    /// Whether each step upwards is a multiple.
    pub(super) log: bool,
    /// Whether it lies over the time of the run: then it shares crosshair, stages and events with the others that do.
    pub(super) over_time: bool,
    #[serde(serialize_with = "short_all")]
    pub(super) xs: Vec<f64>,
    pub(super) series: Vec<Series>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) marks: Vec<Mark>,
}

impl Chart {
    /// The place of the chart in the page: the script draws it.
    pub(super) fn html(&self) -> String {
        format!(
            "<figure class=\"chart\" id=\"chart-{id}\">\n<figcaption><h3>{title}</h3><p class=\"note\">{note}</p></figcaption>\n\
             <div class=\"plot\" data-chart=\"{id}\" role=\"img\" tabindex=\"0\" aria-label=\"{words}\"></div>\n{table}</figure>\n",
            id = escape(&self.id),
            title = escape(&self.title),
            note = escape(&self.note),
            words = escape(&self.words()),
            table = folded("The figures as a table", false, &self.table()),
        )
    }

    /// What the picture shows, for who does not see it.
    fn words(&self) -> String {
        let shown = self.series.iter().filter(|series| !series.is_an_end());
        let said: Vec<String> = shown
            .filter_map(|series| {
                let (least, most) = (Merge::Min.of(&series.values)?, Merge::Max.of(&series.values)?);
                Some(format!("{} from {} to {}", series.label, self.y.show(least), self.y.show(most)))
            })
            .collect();
        format!("Chart: {}. {}.", self.title, said.join("; "))
    }

    fn table(&self) -> String {
        let chunk = self.xs.len().div_ceil(ROWS_MAX).max(1);
        let mut titles = vec![(self.x_label.as_str(), true)];
        titles.extend(self.series.iter().map(|series| (series.label.as_str(), true)));
        let rows: Vec<Vec<String>> = (0..self.xs.len())
            .step_by(chunk)
            .filter_map(|from| {
                let to = (from + chunk).min(self.xs.len());
                let values: Vec<Option<f64>> =
                    self.series.iter().map(|series| series.merge.of(&series.values[from..to])).collect();
                // Where nothing is, the line is interrupted: no row.
                values.iter().flatten().next()?;
                let shown =
                    values.iter().map(|value| value.map_or_else(|| DASH.to_owned(), |v| self.y.show(v)));
                Some(std::iter::once(self.x.show(self.xs[to - 1])).chain(shown).collect())
            })
            .collect();
        let caption = if chunk > 1 {
            format!("{}: each row stands for {chunk} points of the chart", self.title)
        } else {
            self.title.clone()
        };
        table(&caption, &titles, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::{Merge, Short, Unit, percentile};

    #[test]
    fn numbers_are_as_short_as_a_picture_needs() {
        let text = |value| serde_json::to_string(&Short(value)).expect("a number");
        assert_eq!(
            [0.0, 12.0, 1234.567, 0.123_456, 98_765.4, -3.0, f64::NAN].map(text),
            ["0", "12", "1235", "0.1235", "98765", "-3", "null"]
        );
    }

    #[test]
    fn a_percentile_is_named_by_what_lies_below_it() {
        let text = |beyond| percentile(beyond).replace('\u{a0}', " ");
        assert_eq!(
            [0.0, 2.0_f64.log10(), 1.0, 20.0_f64.log10(), 2.0, 3.0, 4.0].map(text),
            ["0 %", "50 %", "90 %", "95 %", "99 %", "99.9 %", "99.99 %"]
        );
        assert_eq!(Unit::Share.show(0.5).replace('\u{a0}', " "), "50 %");
    }

    #[test]
    fn several_values_become_one_and_none_of_none() {
        let values = [Some(1.0), None, Some(3.0)];
        assert_eq!(
            [Merge::Mean, Merge::Max, Merge::Min].map(|merge| merge.of(&values)),
            [Some(2.0), Some(3.0), Some(1.0)]
        );
        assert_eq!(Merge::Mean.of(&[None]), None);
    }
}
