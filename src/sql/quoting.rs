//! Names as they stand in SQL, and as the server keeps them. Knows nothing of what they name.

/// A name as MariaDB and MySQL read it whatever is in it.
#[must_use]
pub fn backquoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a name stands for in MariaDB and MySQL, which keep its letters.
#[must_use]
pub fn without_backquotes(written: &str) -> String {
    let inner = written.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.map_or_else(|| written.to_owned(), |inner| inner.replace("``", "`"))
}

/// A name as PostgreSQL reads it whatever is in it.
#[must_use]
pub fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a name stands for in PostgreSQL, which folds its letters unless it is quoted.
#[must_use]
pub fn folded(written: &str) -> String {
    match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => written.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_stands_for_what_was_quoted_whatever_is_in_it() {
        for name in ["stock", "Big Orders", "a`b", "``", "say \"so\"", ""] {
            assert_eq!(without_backquotes(&backquoted(name)), name);
            assert_eq!(folded(&double_quoted(name)), name);
        }
        assert_eq!((backquoted("a`b").as_str(), double_quoted("a\"b").as_str()), ("`a``b`", "\"a\"\"b\""));
    }

    #[test]
    fn only_postgresql_folds_a_plain_name() {
        assert_eq!((without_backquotes("Stock"), folded("Stock")), ("Stock".to_owned(), "stock".to_owned()));
    }
}
