//! The two forms of MariaDB and MySQL, `CREATE INDEX` and `ALTER TABLE … ADD INDEX`. How it is made is left out, and the method stands
//! behind the keys, where either form takes it.

use super::{CreateIndex, IndexTextError, Words};
use crate::sql::lex::{Token, TokenKind};

pub(super) fn parse(mut words: Words<'_>) -> Result<CreateIndex, IndexTextError> {
    if words.take("CREATE") {
        return created(words);
    }
    if words.take("ALTER") && words.take("TABLE") {
        return added(words);
    }
    Err(IndexTextError::NotCreateIndex)
}

/// Behind `CREATE`.
fn created(mut words: Words<'_>) -> Result<CreateIndex, IndexTextError> {
    let unique = words.take("UNIQUE");
    refuse_other_kinds(&words)?;
    if !words.take("INDEX") {
        return Err(IndexTextError::NotCreateIndex);
    }
    if_not_exists(&mut words)?;
    let name = name(&mut words, &["ON", "USING"]);
    if words.next_is_mark(".") {
        return Err(IndexTextError::QualifiedName);
    }
    let method = method(&mut words);
    if !words.take("ON") {
        return Err(IndexTextError::NotCreateIndex);
    }
    let table = words.qualified().ok_or(IndexTextError::NoTable)?;
    let rest = rest(&words, method)?;
    Ok(CreateIndex { unique, name, table, rest })
}

/// Behind `ALTER TABLE`.
fn added(mut words: Words<'_>) -> Result<CreateIndex, IndexTextError> {
    if words.take("IF") && !words.take("EXISTS") {
        return Err(IndexTextError::NotCreateIndex);
    }
    let table = words.qualified().ok_or(IndexTextError::NotCreateIndex)?;
    if !words.take("ADD") {
        return Err(IndexTextError::NotCreateIndex);
    }
    let unique = words.take("UNIQUE");
    refuse_other_kinds(&words)?;
    let is_index = words.take("INDEX") || words.take("KEY");
    if !unique && !is_index {
        return Err(IndexTextError::NotCreateIndex);
    }
    if_not_exists(&mut words)?;
    let name = name(&mut words, &["USING"]);
    let method = method(&mut words);
    let rest = rest(&words, method)?;
    Ok(CreateIndex { unique, name, table, rest })
}

fn refuse_other_kinds(words: &Words<'_>) -> Result<(), IndexTextError> {
    let is_other = ["FULLTEXT", "SPATIAL", "VECTOR"].iter().any(|kind| words.next_is(kind));
    if is_other { Err(IndexTextError::OtherKind) } else { Ok(()) }
}

fn if_not_exists(words: &mut Words<'_>) -> Result<(), IndexTextError> {
    if words.take("IF") && !(words.take("NOT") && words.take("EXISTS")) {
        return Err(IndexTextError::NotCreateIndex);
    }
    Ok(())
}

/// The name, unless what follows it comes at once.
fn name(words: &mut Words<'_>, behind: &[&str]) -> Option<String> {
    let is_absent = behind.iter().any(|word| words.next_is(word));
    if is_absent { None } else { words.identifier().map(str::to_owned) }
}

fn method<'a>(words: &mut Words<'a>) -> Option<&'a str> {
    if words.take("USING") { words.identifier() } else { None }
}

/// The keys in their parentheses, the method, and the options that say what it is.
fn rest(words: &Words<'_>, method: Option<&str>) -> Result<String, IndexTextError> {
    let (text, tokens) = (words.text, words.tokens);
    if !words.next_is_mark("(") {
        return Err(IndexTextError::NotCreateIndex);
    }
    let mut depth = 0_usize;
    let end = tokens.iter().position(|token| {
        if token.is_punctuation(text, "(") {
            depth += 1;
        } else if token.is_punctuation(text, ")") {
            depth -= 1;
        }
        depth == 0
    });
    let end = end.ok_or(IndexTextError::NotCreateIndex)?;
    let mut parts = vec![text[tokens[0].span.start..tokens[end].span.end].to_owned()];
    parts.extend(method.map(|method| format!("USING {method}")));
    parts.extend(options(text, &tokens[end + 1..])?);
    Ok(parts.join(" "))
}

/// Those options that say what it is, each word by itself.
fn options(text: &str, mut tokens: &[Token]) -> Result<Vec<String>, IndexTextError> {
    const HOW: [&str; 3] = ["ALGORITHM", "LOCK", "WAIT"];
    let mut kept: Vec<String> = Vec::new();
    while let Some((first, others)) = tokens.split_first() {
        tokens = others;
        let word = first.text(text);
        if HOW.iter().any(|how| first.is_word(text, how)) {
            tokens = without(tokens, |token| token.is_punctuation(text, "="));
            tokens = without(tokens, |token| matches!(token.kind, TokenKind::Word | TokenKind::Number));
        } else if first.is_punctuation(text, ",") {
            let is_how = tokens.first().is_some_and(|next| HOW.iter().any(|how| next.is_word(text, how)));
            if !is_how {
                return Err(IndexTextError::OtherChanges);
            }
        } else if !first.is_word(text, "NOWAIT") {
            let is_hiding = ["IGNORED", "INVISIBLE"].iter().any(|hidden| first.is_word(text, hidden));
            if is_hiding && !kept.last().is_some_and(|before| before.eq_ignore_ascii_case("NOT")) {
                return Err(IndexTextError::Hidden(word.to_uppercase()));
            }
            kept.push(word.to_owned());
        }
    }
    Ok(kept)
}

/// The tokens behind the first one, where that is one to leave out.
fn without(tokens: &[Token], is_it: impl Fn(&Token) -> bool) -> &[Token] {
    match tokens.split_first() {
        Some((first, others)) if is_it(first) => others,
        _ => tokens,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Dialect;

    fn parsed(text: &str) -> Result<CreateIndex, IndexTextError> {
        CreateIndex::parse_in(text, Dialect::Mysql)
    }

    #[test]
    fn both_forms_are_the_same_index_whichever_way_it_is_made() {
        for text in [
            "CREATE INDEX orders_customer ON orders (customer_id)",
            "create index if not exists orders_customer on orders(customer_id) ALGORITHM=INPLACE LOCK = NONE;",
            "CREATE INDEX orders_customer ON orders (customer_id) WAIT 5",
            "ALTER TABLE orders ADD INDEX orders_customer (customer_id), ALGORITHM=INPLACE, LOCK=NONE",
            "ALTER TABLE orders ADD KEY IF NOT EXISTS orders_customer (customer_id)",
        ] {
            let index = parsed(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (index.name.as_deref(), index.table.as_str(), index.rest.as_str(), index.unique),
                (Some("orders_customer"), "orders", "(customer_id)", false),
                "{text}"
            );
            assert_eq!(index.label(), "orders (customer_id)");
            assert_eq!(
                index.alteration(Some("orders_customer")),
                "ALTER TABLE orders ADD INDEX orders_customer (customer_id)"
            );
        }
    }

    #[test]
    fn what_it_is_made_of_stays() {
        let of = |text| parsed(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let index = of(
            "CREATE UNIQUE INDEX `On Orders` USING BTREE ON shop.`Orders` (`no`, note(10) DESC) COMMENT 'a, \\'b'",
        );
        assert!(index.unique);
        assert_eq!((index.name.as_deref(), index.table.as_str()), (Some("`On Orders`"), "shop.`Orders`"));
        assert_eq!(index.rest, "(`no`, note(10) DESC) USING BTREE COMMENT 'a, \\'b'");
        let index = of("ALTER TABLE t ADD UNIQUE ((lower(a))), LOCK=SHARED");
        assert_eq!((index.name, index.rest.as_str(), index.unique), (None, "((lower(a)))", true));
        assert_eq!(of("CREATE INDEX ON t (a) NOT IGNORED").rest, "(a) NOT IGNORED");
        assert_eq!(of("ALTER TABLE t ADD INDEX USING BTREE (a)").rest, "(a) USING BTREE");
    }

    #[test]
    fn what_is_no_index_by_itself_is_refused_with_the_remedy() {
        for (text, error) in [
            ("DROP INDEX i ON t", IndexTextError::NotCreateIndex),
            ("ALTER TABLE t ADD COLUMN a int", IndexTextError::NotCreateIndex),
            ("CREATE INDEX i ON t", IndexTextError::NotCreateIndex),
            ("CREATE INDEX i ON", IndexTextError::NoTable),
            ("CREATE INDEX i ON t (a", IndexTextError::NotCreateIndex),
            ("CREATE INDEX d.i ON t (a)", IndexTextError::QualifiedName),
            ("CREATE FULLTEXT INDEX i ON t (a)", IndexTextError::OtherKind),
            ("ALTER TABLE t ADD SPATIAL INDEX (a)", IndexTextError::OtherKind),
            ("CREATE INDEX i ON t (a) ignored", IndexTextError::Hidden("IGNORED".to_owned())),
            ("ALTER TABLE t ADD INDEX (a), ADD INDEX (b)", IndexTextError::OtherChanges),
            ("CREATE INDEX i ON t (a); DROP TABLE t", IndexTextError::Several(2)),
            ("CREATE INDEX i ON t (a) COMMENT 'x", IndexTextError::NotClosed),
        ] {
            assert_eq!(parsed(text), Err(error), "{text}");
        }
    }
}
