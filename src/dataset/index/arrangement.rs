//! What goes before a slice of an experiment, whichever server it is measured on.

use super::Foreseen;

/// What goes before a slice. All indexes are built anew, whatever the arm, and those that it lacks are dropped: so every slice
/// begins with the same pages in memory, and with indexes as fresh.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrangement {
    /// All of them.
    pub indexes: Vec<Build>,
    /// Statements that hold autovacuum off tables.
    pub hold: Vec<String>,
    /// Tables that are vacuumed behind it.
    pub vacuum: Vec<String>,
    /// Whether all of the data is read into the server's buffers at last.
    pub warm: bool,
}

/// An index to build, and what becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Build {
    /// What a person calls it.
    pub label: String,
    /// Its name as commands take it.
    pub quoted: String,
    /// Its table as commands take it.
    pub table_quoted: String,
    /// What makes it, in order; nothing for one that stays as it is.
    pub statements: Vec<String>,
    /// Whether its table is analysed behind it, since it holds expressions.
    pub analyze: bool,
    /// How the arm has it.
    pub state: State,
}

/// How an arm has an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There, and used.
    Used,
    /// Kept up, and hidden from the planner.
    Hidden,
    /// Not there.
    Absent,
}

impl Build {
    /// How an index is built for the experiment. One that is required is never away: hidden is the most that it can be.
    #[must_use]
    pub fn of(index: &Foreseen, state: State) -> Self {
        let is_away = state == State::Absent && index.required.is_some();
        Self {
            label: index.label.clone(),
            quoted: index.quoted.clone(),
            table_quoted: index.table_quoted.clone(),
            statements: index.build.clone(),
            analyze: index.has_expressions,
            state: if is_away { State::Hidden } else { state },
        }
    }
}

/// A table on which autovacuum is held off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name as commands take it.
    pub table: String,
    /// The statement that holds it off.
    pub off: String,
    /// The one that puts it back to what it was.
    pub back: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_is_hidden_where_others_are_away() {
        let free = Foreseen::default();
        let required =
            Foreseen { required: Some("a foreign key needs it".to_owned()), ..Foreseen::default() };
        assert_eq!(Build::of(&free, State::Absent).state, State::Absent);
        assert_eq!(Build::of(&required, State::Absent).state, State::Hidden);
        assert_eq!(Build::of(&required, State::Used).state, State::Used);
    }
}
