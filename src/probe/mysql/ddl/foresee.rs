//! By which `ALGORITHM` and under which `LOCK` the server will carry out each statement of a migration. It does not tell that of a
//! statement that it has carried out, but it refuses an algorithm that it does not have for a change. So the migration is gone through
//! beforehand on empty copies of its tables (`CREATE TABLE … LIKE`), each statement with the lightest algorithm and lock first: the
//! first that is accepted is what the server takes by itself, which takes the lightest (MariaDB, "InnoDB Online DDL Overview").
//!
//! An empty copy has no foreign keys; whether rows were copied, and whether the table has another number, is seen when it happens. What
//! leads to another table is not tried at all.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::Error;

use super::change::{ALGORITHMS, Change, LOCKS, names};
use crate::db::mysql::Client;
use crate::probe::mysql::link::{text, words};
use crate::record::migration::ForeseenAlgorithm;
use crate::sql::lex::significant_in;
use crate::sql::quoting::backquoted;
use crate::units::Dialect;

/// What the copies are called, with a number.
const COPY: &str = "dbdyno_ddl_";
/// `ER_ALTER_OPERATION_NOT_SUPPORTED` and `…_REASON`: this algorithm, or this lock, is not to be had for this change.
const NOT_SUPPORTED: [u16; 2] = [1845, 1846];
/// What opens a statement that makes, removes or renames tables, where it names a TABLE among its first words. What comes behind it for
/// one of these is not known.
const OF_TABLES: [&str; 3] = ["CREATE", "DROP", "RENAME"];
/// `CREATE OR REPLACE TEMPORARY TABLE`
const OPENING: usize = 5;

/// Goes through the statements in order. Fails where a copy cannot be taken away again.
pub(super) async fn foresee(
    client: &Client,
    statements: &[&str],
) -> Result<Vec<Option<ForeseenAlgorithm>>, Error> {
    let mut ahead = Ahead::begin(client).await?;
    let mut foreseen = Vec::with_capacity(statements.len());
    for sql in statements {
        foreseen.push(ahead.statement(sql).await?);
    }
    ahead.end().await?;
    Ok(foreseen)
}

/// The migration, gone through ahead of itself.
struct Ahead<'a> {
    client: &'a Client,
    database: String,
    /// What the server takes where a statement does not say: `alter_algorithm`, which is left from 11.5 on without effect.
    usual: Option<&'static str>,
    /// Copies by the names of their tables.
    copies: BTreeMap<String, String>,
    /// Tables whose copies would not be like them any more, and why.
    lost: BTreeMap<String, String>,
}

impl<'a> Ahead<'a> {
    async fn begin(client: &'a Client) -> Result<Self, Error> {
        let database = one(client, "SELECT DATABASE() AS name", "name").await?.unwrap_or_default();
        let variable = one(client, "SHOW SESSION VARIABLES LIKE 'alter_algorithm'", "Value").await?;
        let has_effect = (client.version().0, client.version().1) < (11, 5);
        let known = |value: String| ALGORITHMS.into_iter().find(|known| value.eq_ignore_ascii_case(known));
        let usual = variable.filter(|_| has_effect).and_then(known);
        let ahead = Self { client, database, usual, copies: BTreeMap::new(), lost: BTreeMap::new() };
        ahead.remove_all().await?;
        Ok(ahead)
    }

    /// Copies of this run, and those that a run which was killed has left.
    async fn remove_all(&self) -> Result<(), Error> {
        let left = "SELECT TABLE_NAME AS name FROM information_schema.TABLES \
                    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME LIKE 'dbdyno\\_ddl\\_%'";
        for name in self.client.rows(left).await?.iter().filter_map(|row| text(row, "name")) {
            self.client.run(&format!("DROP TABLE IF EXISTS {}", backquoted(&name))).await?;
        }
        Ok(())
    }

    async fn end(self) -> Result<(), Error> {
        self.remove_all().await
    }

    async fn statement(&mut self, sql: &str) -> Result<Option<ForeseenAlgorithm>, Error> {
        let Some(change) = Change::read(sql) else {
            self.lose_named(sql);
            return Ok(None);
        };
        let foreseen = self.change(&change).await?;
        if let ForeseenAlgorithm::Unknown(_) = &foreseen {
            self.lost.entry(change.table).or_insert_with(|| "a statement before it was not tried".to_owned());
        }
        Ok(Some(foreseen))
    }

    /// A statement that makes or removes tables makes what is known of those that it names worthless.
    fn lose_named(&mut self, sql: &str) {
        let tokens = significant_in(sql, Dialect::Mysql);
        let opens_with = |word: &&str| tokens.first().is_some_and(|first| first.is_word(sql, word));
        let has_table = ["TABLE", "TABLES"]
            .iter()
            .any(|word| tokens.iter().take(OPENING).any(|token| token.is_word(sql, word)));
        if OF_TABLES.iter().any(opens_with) && has_table {
            let named: BTreeSet<String> = names(sql).into_iter().collect();
            let why = "a statement before it makes, renames or removes the table";
            self.lost.extend(named.into_iter().map(|name| (name, why.to_owned())));
        }
    }

    async fn change(&mut self, change: &Change) -> Result<ForeseenAlgorithm, Error> {
        let unknown = |why: &str| Ok(ForeseenAlgorithm::Unknown(why.to_owned()));
        if change.database.as_ref().is_some_and(|database| *database != self.database) {
            return unknown("it changes a table of another database");
        }
        if change.leads_elsewhere {
            return unknown(
                "it has to do with another table, or renames this one, and is not tried beforehand",
            );
        }
        if let Some(why) = self.lost.get(&change.table) {
            return unknown(why);
        }
        let copy = match self.copy(&change.table).await {
            Ok(copy) => copy,
            Err(Error::Server(said)) => {
                return Ok(ForeseenAlgorithm::Unknown(format!(
                    "the table could not be copied empty: {}",
                    said.message
                )));
            }
            Err(error) => return Err(error),
        };
        let algorithms = up_to(change.algorithm.or(self.usual), self.client.is_mariadb());
        let locks: Vec<&str> =
            LOCKS.into_iter().filter(|lock| change.lock.is_none_or(|own| own == *lock)).collect();
        for algorithm in algorithms {
            // MySQL takes no word on the lock beside INSTANT, which keeps nobody out.
            let is_told = self.client.is_mariadb() || algorithm != "INSTANT";
            for lock in if is_told { &locks[..] } else { &LOCKS[..1] } {
                let asked = if is_told { lock } else { "DEFAULT" };
                match self.client.run(&change.on(&backquoted(&copy), algorithm, asked)).await {
                    Ok(_) => {
                        return Ok(ForeseenAlgorithm::Accepted {
                            algorithm: algorithm.to_owned(),
                            lock: (*lock).to_owned(),
                        });
                    }
                    Err(Error::Server(said)) if NOT_SUPPORTED.contains(&said.code) => {}
                    Err(error @ Error::Server(_)) => {
                        let why = words(&error);
                        return Ok(ForeseenAlgorithm::Unknown(format!(
                            "an empty copy of the table refuses it: {why}"
                        )));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        unknown("an empty copy of the table accepts it by no algorithm")
    }

    /// The copy of a table, made when it is needed first.
    async fn copy(&mut self, table: &str) -> Result<String, Error> {
        if let Some(copy) = self.copies.get(table) {
            return Ok(copy.clone());
        }
        let copy = format!("{COPY}{}", self.copies.len());
        self.client.run(&format!("CREATE TABLE {} LIKE {}", backquoted(&copy), backquoted(table))).await?;
        self.copies.insert(table.to_owned(), copy.clone());
        Ok(copy)
    }
}

/// A column of the first row.
async fn one(client: &Client, sql: &str, column: &str) -> Result<Option<String>, Error> {
    Ok(client.rows(sql).await?.first().and_then(|row| text(row, column)))
}

/// The algorithms that the server may take where this one is asked for, the lightest first. A copy is made where one is asked for; any
/// other word allows what is lighter as well.
fn up_to(asked: Option<&str>, is_mariadb: bool) -> Vec<&'static str> {
    let last = asked.and_then(|asked| ALGORITHMS.iter().position(|known| *known == asked));
    let allowed = match last {
        Some(last) if ALGORITHMS[last] == "COPY" => &ALGORITHMS[last..],
        Some(last) => &ALGORITHMS[..=last],
        None => &ALGORITHMS[..],
    };
    // MySQL has no word for what is in place and builds nothing anew.
    allowed.iter().copied().filter(|algorithm| is_mariadb || *algorithm != "NOCOPY").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_the_most_that_the_server_does() {
        assert_eq!(up_to(None, true), ALGORITHMS);
        assert_eq!(up_to(Some("INPLACE"), true), ["INSTANT", "NOCOPY", "INPLACE"]);
        assert_eq!(up_to(Some("COPY"), true), ["COPY"]);
        assert_eq!(up_to(None, false), ["INSTANT", "INPLACE", "COPY"]);
    }
}
