//! What stands in the catalog about the tables that are to be filled.

use super::form::{Declared, Form};
use super::server::{failed, number, quoted, text, truth};
use crate::dataset::DatasetError;
use crate::dataset::fit::TableColumn;
use crate::db::mysql::Client;
use crate::sql::lex::{TokenKind, lex_in};
use crate::units::Dialect;

/// A table as the server knows it.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// Within its database, as the catalog has it: which letters it keeps, `lower_case_table_names` of the server decides.
    pub(super) name: String,
    /// Qualified where it must be, and quoted.
    pub(super) target: String,
    pub(super) columns: Vec<TableColumn<Form>>,
    /// The column that numbers itself, if there is one.
    pub(super) auto_increment: Option<String>,
}

const IS_THERE: &str = "
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = coalesce(?, DATABASE()) AND table_name = ? AND table_type <> 'VIEW'";

const COLUMNS: &str = "
    SELECT column_name, column_type, data_type, character_maximum_length, numeric_precision, numeric_scale,
           column_type LIKE '%unsigned%', is_nullable = 'NO',
           column_default IS NOT NULL OR extra LIKE '%auto_increment%', extra LIKE '%auto_increment%',
           coalesce(generation_expression, '') <> ''
    FROM information_schema.columns
    WHERE table_schema = coalesce(?, DATABASE()) AND table_name = ?
    ORDER BY ordinal_position";

/// The table of that name (qualified or in the database at hand, quoted where it must be), if there is one.
pub(super) async fn relation(client: &Client, written: &str) -> Result<Option<Relation>, DatasetError> {
    let doing = || format!("look up table {written}");
    let (schema, table) = parts(written);
    let values = (schema.clone(), table);
    let there = client.rows_with(IS_THERE, values.clone()).await.map_err(failed(doing()))?;
    let Some(name) = there.first().and_then(|row| text(row, 0)) else { return Ok(None) };
    let columns = client.rows_with(COLUMNS, values).await.map_err(failed(doing()))?;
    let column = |row: &mysql_async::Row| TableColumn {
        name: text(row, 0).unwrap_or_default(),
        type_name: text(row, 1).unwrap_or_default(),
        of_type: Form::of(&Declared {
            name: text(row, 2).unwrap_or_default().to_ascii_lowercase(),
            length: number(row, 3),
            precision: number(row, 4),
            scale: number(row, 5),
            is_unsigned: truth(row, 6),
        }),
        not_null: truth(row, 7),
        has_default: truth(row, 8),
        is_generated: truth(row, 10),
    };
    let auto_increment = columns.iter().find(|row| truth(row, 9)).and_then(|row| text(row, 0));
    let target = match &schema {
        Some(schema) => format!("{}.{}", quoted(schema), quoted(&name)),
        None => quoted(&name),
    };
    let columns = columns.iter().map(column).collect();
    Ok(Some(Relation { name, target, columns, auto_increment }))
}

/// The database and the table that a name says. Between double quotes or backticks stands a name as it is.
pub(super) fn parts(name: &str) -> (Option<String>, String) {
    // Double quotes are quotes of names here, whatever the server's SQL takes them for.
    let dialect = if name.contains('"') { Dialect::Postgresql } else { Dialect::Mysql };
    let mut names: Vec<String> = lex_in(name, dialect)
        .filter_map(|token| match token.kind {
            TokenKind::Word => Some(token.text(name).to_owned()),
            TokenKind::QuotedIdentifier => {
                let quote = &token.text(name)[..1];
                let inside = token.text(name).trim_matches(|c| quote.contains(c));
                Some(inside.replace(&quote.repeat(2), quote))
            }
            _ => None,
        })
        .collect();
    let table = names.pop().unwrap_or_else(|| name.to_owned());
    (names.pop(), table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_with_their_database_and_without_their_quotes() {
        let of = |name: &str| {
            let (schema, table) = parts(name);
            (schema.unwrap_or_default(), table)
        };
        assert_eq!(of("orders"), (String::new(), "orders".to_owned()));
        assert_eq!(of("sales.`Big ``Orders`"), ("sales".to_owned(), "Big `Orders".to_owned()));
        assert_eq!(of("\"Big Orders\""), (String::new(), "Big Orders".to_owned()));
    }
}
