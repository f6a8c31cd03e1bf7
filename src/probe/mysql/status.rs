//! `SHOW GLOBAL STATUS` as numbers by name. Pure but for the question itself.

use std::collections::HashMap;
use std::time::Duration;

use mysql_async::Row;

use super::link::{probe_tag, rows, text};
use crate::db::Now;
use crate::db::mysql::Client;
use crate::probe::link::{Answer, Unanswered};
use crate::record::observation::ProbeCost;

/// MariaDB 10.11 and MySQL 8: all of it. It takes less than a filtered one from `performance_schema`, which may be off.
pub(super) const STATUS: &str = concat!(probe_tag!(), "SHOW GLOBAL STATUS");
/// The same servers: what is looked at each second, in a third of the time that all of it takes.
pub(super) const PULSE: &str = concat!(
    probe_tag!(),
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_commit', 'Com_rollback', 'Created_tmp_files', 'Innodb_buffer_pool_read_requests', ",
    "'Innodb_buffer_pool_reads', 'Innodb_deadlocks', 'Innodb_lsn_current', 'Innodb_redo_log_current_lsn', 'Innodb_os_log_written')"
);
/// MySQL 8, which does not count them there. In the columns of that list, and under the name that they have in MariaDB's.
const DEADLOCKS_OF_MYSQL: &str = concat!(
    probe_tag!(),
    "SELECT 'Innodb_deadlocks' AS Variable_name, COUNT AS Value FROM information_schema.INNODB_METRICS ",
    "WHERE NAME = 'lock_deadlocks'"
);

/// Asks what the server has counted since its start, by [`STATUS`] or [`PULSE`].
pub(super) async fn ask_status(
    client: &Client,
    asked: &str,
    clock: &impl Now,
    limit: Duration,
    cost: &mut ProbeCost,
) -> Result<Answer<Status>, Unanswered> {
    let mut answer = rows(client, clock, limit, cost, asked).await?;
    if !client.is_mariadb() {
        answer.value.extend(rows(client, clock, limit, cost, DEADLOCKS_OF_MYSQL).await?.value);
    }
    Ok(answer.map(|rows| Status::read(&rows)))
}

/// What the server has counted since its start, by name.
pub(super) struct Status(HashMap<String, u64>);

impl Status {
    /// Keeps what is a number.
    pub fn read(rows: &[Row]) -> Self {
        let number = |row: &Row| {
            let name = text(row, "Variable_name")?.to_ascii_lowercase();
            Some((name, text(row, "Value")?.parse().ok()?))
        };
        Self(rows.iter().filter_map(number).collect())
    }

    /// One that not every version has.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// One that every version has; zero where the server leaves it out.
    pub fn count(&self, name: &str) -> u64 {
        self.get(name).unwrap_or(0)
    }

    /// Rows that InnoDB changed; a MariaDB that does not count them says how many its handlers did.
    pub fn rows(&self, of_innodb: &str, of_handlers: &str) -> u64 {
        self.get(of_innodb).unwrap_or_else(|| self.count(of_handlers))
    }

    /// Rows that the handlers were asked for, in whichever order.
    pub fn rows_read(&self) -> u64 {
        self.0.iter().filter(|(name, _)| name.starts_with("handler_read_")).map(|(_, rows)| *rows).sum()
    }

    /// Blocks that were found in the buffer pool: requests less those that had to be read.
    pub fn blocks_hit(&self) -> u64 {
        let requests = self.count("innodb_buffer_pool_read_requests");
        requests.saturating_sub(self.count("innodb_buffer_pool_reads"))
    }

    /// Bytes of redo log so far: the position on MariaDB, and on MySQL from 8.0.30 on; what was written on an older one.
    pub fn log_position(&self) -> Option<u64> {
        let names = ["innodb_lsn_current", "innodb_redo_log_current_lsn", "innodb_os_log_written"];
        names.into_iter().find_map(|name| self.get(name))
    }
}

#[cfg(test)]
impl Status {
    /// For tests.
    pub fn of(values: &[(&str, u64)]) -> Self {
        Self(values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_what_was_found() {
        let status =
            Status::of(&[("innodb_buffer_pool_read_requests", 100), ("innodb_buffer_pool_reads", 7)]);
        assert_eq!(status.blocks_hit(), 93);
        assert_eq!(status.log_position(), None, "it is not told");
        let handlers =
            Status::of(&[("handler_update", 3), ("handler_read_key", 4), ("handler_read_next", 5)]);
        assert_eq!((handlers.rows("innodb_rows_updated", "handler_update"), handlers.rows_read()), (3, 9));
        let both = Status::of(&[("innodb_os_log_written", 5), ("innodb_lsn_current", 9)]);
        assert_eq!(both.log_position(), Some(9));
        let of_mysql = Status::of(&[("innodb_os_log_written", 512), ("innodb_redo_log_current_lsn", 77)]);
        assert_eq!(of_mysql.log_position(), Some(77));
    }
}
