//! Whose a session is, as far as every engine tells it in the same way: by the tag of its statement, and by the name of its program.
//! Pure.

use std::collections::HashMap;

use crate::probe::ProbePlan;
use crate::record::observation::{Session, Who};
use crate::sql::tag::tag_of;
use crate::units::{BackendId, StatementId};

/// What the names of the measured pool's sessions begin with; a name that the user gave may follow.
pub const POOL: &str = "dbdyno pool";
/// What a server names in place of a session where a prepared transaction blocks.
pub const PREPARED: BackendId = BackendId(0);

/// The statements of the workload by their tags.
#[derive(Clone, Debug)]
pub struct Tags(HashMap<String, StatementId>);

impl Tags {
    /// The statements of a plan.
    pub fn new(plan: &ProbePlan) -> Self {
        Self(plan.statements.iter().map(|(id, tag, _)| (tag.clone(), *id)).collect())
    }

    /// The statement that a text is tagged with.
    pub fn statement(&self, text: &str) -> Option<StatementId> {
        tag_of(text).and_then(|tag| self.0.get(tag)).copied()
    }
}

/// `BEGIN ISOLATION LEVEL …` → `BEGIN`; a session that has not sent anything yet is connecting.
pub fn first_word(query: &str) -> String {
    let word: String = query.trim_start().chars().take_while(|c| c.is_alphanumeric()).take(20).collect();
    if word.is_empty() { "CONNECT".to_owned() } else { word.to_uppercase() }
}

/// A blocker without a session: a prepared transaction, or a session that ended between two questions.
pub fn unlisted(id: BackendId) -> Session {
    let (who, state) =
        if id == PREPARED { ("prepared transaction", "prepared transaction") } else { ("(ended)", "ended") };
    Session { backend: id, who: Who::Foreign(who.to_owned()), state: state.to_owned() }
}
