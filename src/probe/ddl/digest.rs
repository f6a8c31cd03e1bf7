//! The schema as a set of lines, one for each thing that a migration can make: what of it is not as it was before shows as lines that
//! came and lines that went.

use std::collections::BTreeSet;

/// Lines that a difference names; the rest is counted.
const NAMED_MAX: usize = 50;

/// A schema at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    lines: BTreeSet<String>,
}

impl Digest {
    /// Of lines as a server wrote them; line ends and runs of blanks within them say nothing.
    pub(in crate::probe) fn of(lines: impl Iterator<Item = String>) -> Self {
        Self { lines: lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect() }
    }

    /// What came since (`+ …`) and what went (`- …`).
    #[must_use]
    pub fn difference(&self, now: &Self) -> Vec<String> {
        let went = self.lines.difference(&now.lines).map(|line| format!("- {line}"));
        let came = now.lines.difference(&self.lines).map(|line| format!("+ {line}"));
        let mut all: Vec<String> = went.chain(came).collect();
        let more = all.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            all.truncate(NAMED_MAX);
            all.push(format!("and {more} more"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_and_what_went() {
        let of = |lines: &[&str]| Digest { lines: lines.iter().map(|line| (*line).to_owned()).collect() };
        let (before, now) = (of(&["column t.a integer", "index i"]), of(&["column t.a bigint", "index i"]));
        assert_eq!(before.difference(&now), ["- column t.a integer", "+ column t.a bigint"]);
        assert!(now.difference(&now).is_empty());
        let many: Vec<String> = (0..60).map(|number| number.to_string()).collect();
        let many = Digest { lines: many.into_iter().collect() };
        let told = many.difference(&Digest::default());
        assert_eq!((told.len(), told.last().map(String::as_str)), (51, Some("and 10 more")));
    }
}
