//! What the server says, as mistakes with a place in a file or as errors. Knows no phase of a load.

use std::ops::Range;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::dataset::DatasetError;
use crate::dataset::script::Step;
use crate::db::postgres::Client;
use crate::diagnostic::Mistakes;
pub(super) use crate::sql::quoting::double_quoted as quoted;

/// The server's words with their code, or what happened to the connection.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(error);
        return cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    };
    let mut words = spoken(said);
    for more in [said.detail(), said.where_()].into_iter().flatten() {
        words.push_str("; ");
        words.push_str(more);
    }
    words
}

/// What the server said, with the code under which its manual explains it.
pub(super) fn spoken(said: &DbError) -> String {
    format!("{} (SQLSTATE {})", said.message(), said.code().code())
}

/// The code of an error that the server sent.
pub(super) fn code(error: &tokio_postgres::Error) -> Option<&str> {
    error.code().map(tokio_postgres::error::SqlState::code)
}

/// An error of something that no file is to blame for.
pub(super) fn failed(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> DatasetError {
    let doing = doing.into();
    move |error| DatasetError::Server { doing, message: words(&error) }
}

/// Runs one step of a script. The inner error is a refusal that the script is to blame for; the outer one ends everything.
pub(super) async fn run(client: &Client, step: &Step) -> Result<Result<(), DbError>, DatasetError> {
    match client.batch_execute(&step.sql).await {
        Ok(()) => Ok(Ok(())),
        Err(error) => match error.as_db_error() {
            Some(said) if !client.is_closed() => Ok(Err(said.clone())),
            _ => Err(failed("run the schema")(error)),
        },
    }
}

/// Reports a refusal at its place in the script.
pub(super) fn blame(said: &DbError, step: &Step, source: usize, mistakes: &mut Mistakes) {
    let span = place(said, &step.sql).map_or(step.span.clone(), |at| {
        let start = step.span.start;
        start + at.start..start + at.end
    });
    let label = said.detail().unwrap_or("refused by the server").to_owned();
    mistakes.at(source, span, spoken(said), label, said.hint().map(str::to_owned));
}

/// The word that the server points at, in the text that was sent.
pub(super) fn place(said: &DbError, sql: &str) -> Option<Range<usize>> {
    let Some(ErrorPosition::Original(character)) = said.position() else { return None };
    let character = usize::try_from(*character).ok()?.checked_sub(1)?;
    let start = sql.char_indices().nth(character)?.0;
    let rest = &sql[start..];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    Some(start..start + length)
}
