//! What a MariaDB or MySQL says, as errors and as mistakes with their place, and how its rows are read.

use std::ops::Range;

use mysql_async::{Error, Row, ServerError, Value};

use crate::dataset::DatasetError;
use crate::dataset::script::Step;
use crate::db::mysql::Client;
use crate::diagnostic::Mistakes;
pub(super) use crate::sql::quoting::backquoted as quoted;

/// `ER_NO_SUCH_TABLE`
pub(super) const NO_SUCH_TABLE: u16 = 1146;
/// `ER_TABLEACCESS_DENIED_ERROR`
pub(super) const TABLE_ACCESS_DENIED: u16 = 1142;
/// `ER_LOCK_WAIT_TIMEOUT`
pub(super) const LOCK_WAIT_TIMEOUT: u16 = 1205;
/// `ER_LOCK_DEADLOCK`
pub(super) const DEADLOCK: u16 = 1213;
/// `ER_BAD_FIELD_ERROR`
const NO_SUCH_COLUMN: u16 = 1054;

/// Turns an error into one that says what was being done.
pub(super) fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> DatasetError {
    let doing = doing.into();
    move |error| DatasetError::Server { doing, message: words(&error) }
}

/// What an error says.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Server(said) => spoken(said),
        other => other.to_string(),
    }
}

/// What the server said, with the number under which its manual explains it.
pub(super) fn spoken(said: &ServerError) -> String {
    format!("{} (error {})", said.message, said.code)
}

/// The number of what the server said, if it was the server.
pub(super) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(said) => Some(said.code),
        _ => None,
    }
}

/// Runs a step. The inner error is the server's refusal; the outer one is anything else.
pub(super) async fn run(client: &Client, step: &Step) -> Result<Result<(), ServerError>, DatasetError> {
    match client.run(&step.sql).await {
        Ok(_) => Ok(Ok(())),
        Err(Error::Server(said)) => Ok(Err(said)),
        Err(error) => Err(failed(format!("run `{}`", step.opening()))(error)),
    }
}

/// Blames a step at the word that the server names, else as a whole.
pub(super) fn blame(said: &ServerError, step: &Step, source: usize, mistakes: &mut Mistakes) {
    let span = place(said, &step.sql)
        .map_or_else(|| step.span.clone(), |at| step.span.start + at.start..step.span.start + at.end);
    mistakes.at(source, span, spoken(said), "refused by the server", None);
}

/// The word that the server names, in the text that was sent. It tells places in words only.
pub(super) fn place(said: &ServerError, sql: &str) -> Option<Range<usize>> {
    if let Some((_, behind)) = said.message.split_once("near '")
        && let Some((near, line)) = behind.rsplit_once("' at line ")
    {
        let line: usize = line.trim().parse().ok()?;
        let from: usize = sql.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
        let near = near.lines().next().filter(|near| !near.is_empty())?;
        let start = from + sql.get(from..)?.find(near)?;
        return Some(start..start + word_length(&sql[start..]));
    }
    if said.code == NO_SUCH_COLUMN {
        let name = said.message.split('\'').nth(1)?.rsplit('.').next()?;
        let is_word = |at: &usize| {
            let before = sql[..*at].chars().next_back();
            before.is_none_or(|c| !continues_word(c)) && word_length(&sql[*at..]) == name.len()
        };
        let start = sql.match_indices(name).map(|(at, _)| at).find(is_word)?;
        return Some(start..start + name.len());
    }
    None
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of the word that a text opens with, or of its first character.
fn word_length(text: &str) -> usize {
    match text.find(|c| !continues_word(c)).unwrap_or(text.len()) {
        0 => text.chars().next().map_or(0, char::len_utf8),
        length => length,
    }
}

/// A text as SQL reads it whatever is in it, where a backslash escapes.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A column of a row as text; nothing for NULL.
pub(super) fn text(row: &Row, column: usize) -> Option<String> {
    match row.as_ref(column)? {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// A column of a row as a number; nothing for NULL and for what is none.
pub(super) fn number<T: std::str::FromStr>(row: &Row, column: usize) -> Option<T> {
    text(row, column)?.parse().ok()
}

/// A column of a row as a truth value; NULL is none.
pub(super) fn truth(row: &Row, column: usize) -> bool {
    number::<i64>(row, column).is_some_and(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, message: &str) -> ServerError {
        ServerError { code, message: message.to_owned(), state: "42000".to_owned() }
    }

    #[test]
    fn the_word_that_the_server_names_is_found_in_the_text() {
        let sql = "CREATE TABLE t (\n  id int,\n  idx int KEYY,\n  PRIMARY KEY (id)\n)";
        let syntax = said(
            1064,
            "You have an error in your SQL syntax; check the manual for the right syntax to use near 'KEYY,\n  PRIMARY \
             KEY (id)\n)' at line 3",
        );
        assert_eq!(place(&syntax, sql).map(|at| &sql[at]), Some("KEYY"));
        let column = said(1054, "Unknown column 't.id' in 'field list'");
        assert_eq!(place(&column, "SELECT idx, t.id FROM t"), Some(14..16));
        assert_eq!(place(&said(1146, "Table 'd.t' doesn't exist"), sql), None);
        assert_eq!(place(&said(1064, "… near '' at line 9"), sql), None);
    }

    #[test]
    fn texts_are_quoted_whatever_is_in_them() {
        assert_eq!(literal("it's a \\"), "'it''s a \\\\'");
    }
}
