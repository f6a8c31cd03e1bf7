//! The tag that every statement opens with: `/*dbdyno:TRANSACTION.STATEMENT*/`.

/// The text with its tag, behind a leading hint comment (`/*+ … */`) if it has one, since planners read hints only there.
#[must_use]
pub fn with_tag(sql: &str, tag: &str) -> String {
    let _ = (sql, tag);
    todo!("helper: sql")
}

/// The tag of a statement as the server shows it, if it has one.
#[must_use]
pub fn tag_of(sql: &str) -> Option<&str> {
    let _ = sql;
    todo!("helper: sql")
}
