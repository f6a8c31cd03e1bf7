//! The latest deadlock, which InnoDB writes down in its status until the next one: who was in the circle, in which statement, and
//! which lock each waited for. The victim's client is told nothing of that. Pure but for the question itself.

use mysql_async::Row;

use super::link::{probe_tag, text};
use super::locks::parts;
use super::session::Registry;
use crate::record::deadlock::{WrittenDeadlock, WrittenSide};
use crate::record::observation::Session;
use crate::units::BackendId;

/// MariaDB 10.11 and MySQL 8, for an account with the right `PROCESS`.
pub const STATUS_TEXT: &str = concat!(probe_tag!(), "SHOW ENGINE INNODB STATUS");

/// Sides that are read: longer circles do not happen by accident.
const SIDES_MAX: usize = 16;
/// Characters of a statement that are read: its tag stands first.
const QUERY_MAX: usize = 300;
/// What a side is in: each of them waits.
const STATE: &str = "active";

/// The text of an answer to [`STATUS_TEXT`].
pub fn text_of(rows: &[Row]) -> Option<String> {
    rows.first().and_then(|row| text(row, "Status"))
}

/// The latest deadlock of a status text, if it tells of one whose victim it names. `database` is the one under test.
pub fn latest(status: &str, database: &str, registry: &Registry) -> Option<WrittenDeadlock> {
    let section = section(status)?;
    let sides = sides(&section);
    let victim = victim(&section).and_then(|number| sides.iter().position(|side| side.number == number))?;
    let circle = circle(&sides, victim);
    let written = circle.into_iter().map(|place| sides[place].written(database, registry)).collect();
    Some(WrittenDeadlock { sides: written })
}

/// The lines of the section on the latest deadlock: between its heading and that of the next section, which stand between rules.
fn section(status: &str) -> Option<Vec<&str>> {
    let is_rule = |line: &&str| line.len() > 3 && line.bytes().all(|byte| byte == b'-');
    let mut lines = status.lines().skip_while(|line| *line != "LATEST DETECTED DEADLOCK").skip(1);
    lines.next().filter(is_rule)?;
    Some(lines.take_while(|line| !is_rule(line)).collect())
}

/// A side as it stands in the text.
#[derive(Debug, Default)]
struct Side<'a> {
    /// `*** (1) TRANSACTION:` → 1
    number: usize,
    /// Number of its transaction.
    transaction: &'a str,
    /// Number of its connection, and its account.
    connection: u64,
    account: String,
    query: String,
    /// What it waited for.
    waited: Option<Lock<'a>>,
    /// Transactions whose locks were in its way, where the text tells them (MariaDB).
    conflicts: Vec<&'a str>,
}

/// ``RECORD LOCKS space id 9 page no 3 n bits 8 index PRIMARY of table `shop`.`stock` trx id 77 lock_mode X locks rec but not gap
/// waiting``, or ``TABLE LOCK table `shop`.`stock` trx id 77 lock mode IX waiting``
#[derive(Debug)]
struct Lock<'a> {
    object: &'static str,
    index: Option<&'a str>,
    relation: Option<(String, String)>,
    transaction: &'a str,
    mode: String,
}

impl<'a> Lock<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (object, place) = if let Some(rest) = line.strip_prefix("RECORD LOCKS ") {
            ("row", rest)
        } else {
            ("table", line.strip_prefix("TABLE LOCK ")?)
        };
        let (place, rest) = place.rsplit_once(" trx id ")?;
        let (transaction, how) = rest.split_once(' ')?;
        let (before, table) = place.split_once("table ")?;
        let index =
            before.split_once(" index ").map(|(_, index)| index.trim_end_matches(" of ").trim_matches('`'));
        Some(Self { object, index, relation: parts(table), transaction, mode: mode(how) })
    }
}

/// `lock_mode X locks gap before rec insert intention waiting` → `X,GAP,INSERT_INTENTION`, as the views of locks call it.
fn mode(how: &str) -> String {
    let words = how.strip_prefix("lock_mode ").or_else(|| how.strip_prefix("lock mode ")).unwrap_or_default();
    let mut mode = words.split_whitespace().next().unwrap_or_default().to_owned();
    for (said, name) in [("locks gap before rec", ",GAP"), ("insert intention", ",INSERT_INTENTION")] {
        if words.contains(said) {
            mode.push_str(name);
        }
    }
    mode
}

/// What the lines that follow are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Transaction,
    Query,
    Waited,
    Conflicts,
    Nothing,
}

fn sides<'a>(lines: &[&'a str]) -> Vec<Side<'a>> {
    let mut sides: Vec<Side<'a>> = Vec::new();
    let mut about = About::Nothing;
    for &line in lines {
        if let Some(heading) = line.strip_prefix("*** ") {
            if let Some(number) = number_of(heading).filter(|_| heading.ends_with(" TRANSACTION:")) {
                if sides.len() == SIDES_MAX {
                    break;
                }
                sides.push(Side { number, ..Side::default() });
            }
            about = match heading {
                _ if heading.ends_with(" TRANSACTION:") => About::Transaction,
                // MySQL numbers its headings: `(1) WAITING FOR THIS LOCK TO BE GRANTED:`
                _ if heading.ends_with("WAITING FOR THIS LOCK TO BE GRANTED:") => About::Waited,
                "CONFLICTING WITH:" => About::Conflicts,
                _ => About::Nothing,
            };
            continue;
        }
        let Some(side) = sides.last_mut() else { continue };
        about = side.take(line, about);
    }
    sides
}

impl<'a> Side<'a> {
    /// Takes what a line says. Gives what the next one is about.
    fn take(&mut self, line: &'a str, about: About) -> About {
        match about {
            About::Transaction => {
                if let Some(rest) = line.strip_prefix("TRANSACTION ") {
                    self.transaction = rest.split([',', ' ']).next().unwrap_or_default();
                }
                if let Some((_, rest)) = line.split_once(" thread id ") {
                    self.connection = rest.split(',').next().and_then(|id| id.parse().ok()).unwrap_or(0);
                    self.account = account(rest);
                    return About::Query;
                }
            }
            About::Query if self.query.len() < QUERY_MAX => {
                self.query.push_str(line);
                self.query.push('\n');
            }
            About::Waited => self.waited = Lock::read(line).or(self.waited.take()),
            About::Conflicts => self.conflicts.extend(Lock::read(line).map(|lock| lock.transaction)),
            About::Query | About::Nothing => {}
        }
        about
    }

    fn written(&self, database: &str, registry: &Registry) -> WrittenSide {
        let lock = self.waited.as_ref();
        let relation = lock.and_then(|lock| lock.relation.as_ref());
        let ours = relation.is_none_or(|(of, _)| of == database);
        let id = BackendId(i64::try_from(self.connection).unwrap_or(i64::MAX));
        WrittenSide {
            session: Session {
                backend: id,
                who: registry.who_executes(self.connection, &self.account, ours, self.query.trim_end()),
                state: STATE.to_owned(),
            },
            mode: lock.map_or_else(String::new, |lock| lock.mode.clone()),
            object: lock.map_or("", |lock| lock.object).to_owned(),
            relation: relation.map(|(of, table)| if ours { table.clone() } else { format!("{of}.{table}") }),
            index: lock.and_then(|lock| lock.index).map(str::to_owned),
        }
    }
}

/// `(2) TRANSACTION:` → 2
fn number_of(heading: &str) -> Option<usize> {
    heading.strip_prefix('(')?.split_once(')')?.0.parse().ok()
}

/// The account of `16, OS thread handle 139998151345920, query id 118 10.88.0.172 root Updating`: behind the numbers stand the host,
/// for a local one perhaps its address as well, and the user.
fn account(rest: &str) -> String {
    let words = rest.split_once(" query id ").map_or("", |(_, words)| words);
    let mut words = words.split_whitespace().skip(1);
    let host = words.next().unwrap_or_default();
    let user = words.find(|word| word.parse::<std::net::IpAddr>().is_err()).unwrap_or_default();
    format!("{user}@{host}")
}

/// `*** WE ROLL BACK TRANSACTION (2)`
fn victim(lines: &[&str]) -> Option<usize> {
    lines.iter().find_map(|line| number_of(line.strip_prefix("*** WE ROLL BACK TRANSACTION ")?))
}

/// The places of the sides around the circle, the first one first. Where the text does not tell whose lock was in the way of one, it
/// is that of the side that stands behind it.
fn circle(sides: &[Side<'_>], first: usize) -> Vec<usize> {
    let mut circle = vec![first];
    while circle.len() < sides.len() {
        let last = circle[circle.len() - 1];
        let is_open = |place: &usize| !circle.contains(place);
        let told = (0..sides.len())
            .filter(is_open)
            .find(|place| sides[last].conflicts.contains(&sides[*place].transaction));
        let behind = || (1..sides.len()).map(|step| (last + step) % sides.len()).find(is_open);
        let Some(next) = told.or_else(behind) else { break };
        circle.push(next);
    }
    circle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::mysql::session::tests::registry;
    use crate::record::observation::Who;
    use crate::units::StatementId;

    /// MariaDB 10.11, shortened; the second one gives way.
    const MARIADB: &str = "
=====================================
2026-07-22 15:13:40 0x7f53dc148700 INNODB MONITOR OUTPUT
=====================================
------------------------
LATEST DETECTED DEADLOCK
------------------------
2026-07-22 15:13:37 0x7f53dc148700
*** (1) TRANSACTION:
TRANSACTION 77, ACTIVE 1 sec starting index read
mysql tables in use 1, locked 1
LOCK WAIT 3 lock struct(s), heap size 1128, 2 row lock(s), undo log entries 1
MariaDB thread id 16, OS thread handle 139998151345920, query id 118 10.88.0.172 app Updating
/*dbdyno:a.b*/ UPDATE stock SET n = n + 1
WHERE id = ?
*** WAITING FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 9 page no 3 n bits 8 index PRIMARY of table `shop`.`stock` trx id 77 lock_mode X locks rec but not gap waiting
Record lock, heap no 2 PHYSICAL RECORD: n_fields 4; compact format; info bits 0
 0: len 4; hex 80000001; asc     ;;

*** CONFLICTING WITH:
RECORD LOCKS space id 9 page no 3 n bits 8 index PRIMARY of table `shop`.`stock` trx id 76 lock_mode X locks rec but not gap
Record lock, heap no 2 PHYSICAL RECORD: n_fields 4; compact format; info bits 0


*** (2) TRANSACTION:
TRANSACTION 76, ACTIVE 2 sec inserting
mysql tables in use 1, locked 1
LOCK WAIT 3 lock struct(s), heap size 1128, 2 row lock(s), undo log entries 1
MariaDB thread id 15, OS thread handle 139998151038720, query id 117 localhost 127.0.0.1 nightly Update
INSERT INTO stock VALUES (3, 'secret')
*** WAITING FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 9 page no 3 n bits 8 index `by n` of table `shop`.`stock` /* Partition `p0` */ trx id 76 lock_mode X locks gap \
before rec insert intention waiting
Record lock, heap no 3 PHYSICAL RECORD: n_fields 4; compact format; info bits 0

*** CONFLICTING WITH:
RECORD LOCKS space id 9 page no 3 n bits 8 index PRIMARY of table `shop`.`stock` trx id 77 lock_mode X
*** WE ROLL BACK TRANSACTION (2)
------------
TRANSACTIONS
------------
Trx id counter 78
";

    /// MySQL 8 and 9.
    const MYSQL: &str = "
------------------------
LATEST DETECTED DEADLOCK
------------------------
2026-03-24 00:05:03 0x16c113000
*** (1) TRANSACTION:
TRANSACTION 2000, ACTIVE 0 sec starting index read
mysql tables in use 1, locked 1
MySQL thread id 54, OS thread handle 6131019776, query id 976 localhost 127.0.0.1 root updating
/*dbdyno:a.b*/ UPDATE stock SET n = 1 WHERE id = 2

*** (1) HOLDS THE LOCK(S):
RECORD LOCKS space id 3 page no 6 n bits 192 index PRIMARY of table `shop`.`stock` trx id 2000 lock_mode X locks rec but not gap

*** (1) WAITING FOR THIS LOCK TO BE GRANTED:
RECORD LOCKS space id 3 page no 6 n bits 192 index PRIMARY of table `shop`.`stock` trx id 2000 lock_mode X locks rec but not gap waiting

*** (2) TRANSACTION:
TRANSACTION 2001, ACTIVE 0 sec setting table lock
MySQL thread id 55, OS thread handle 6131019777, query id 977 localhost 127.0.0.1 root updating
/*dbdyno:a.b*/ UPDATE stock SET n = 1 WHERE id = 1

*** (2) HOLDS THE LOCK(S):
RECORD LOCKS space id 3 page no 6 n bits 192 index PRIMARY of table `shop`.`stock` trx id 2001 lock_mode X locks rec but not gap

*** (2) WAITING FOR THIS LOCK TO BE GRANTED:
TABLE LOCK table `shop`.`orders` trx id 2001 lock mode IX waiting

*** WE ROLL BACK TRANSACTION (1)
------------
TRANSACTIONS
------------
";

    fn told(status: &str, database: &str) -> Vec<(i64, Who, String)> {
        let deadlock = latest(status, database, &registry()).expect("it is written down");
        let lock = |side: &WrittenSide| {
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            format!("{} {} {} {}", side.mode, side.object, name(&side.relation), name(&side.index))
        };
        deadlock
            .sides
            .iter()
            .map(|side| (side.session.backend.0, side.session.who.clone(), lock(side).trim().to_owned()))
            .collect()
    }

    #[test]
    fn both_sides_are_read_and_the_victim_is_the_first() {
        assert_eq!(
            told(MARIADB, "shop"),
            [
                (
                    15,
                    Who::Foreign("nightly@localhost".into()),
                    "X,GAP,INSERT_INTENTION row stock by n".into()
                ),
                (16, Who::Statement(StatementId(3)), "X row stock PRIMARY".into()),
            ]
        );
        let ours = Who::Statement(StatementId(3));
        assert_eq!(
            told(MYSQL, "shop"),
            [(54, ours.clone(), "X row stock PRIMARY".into()), (55, ours, "IX table orders".into())]
        );
    }

    #[test]
    fn in_another_database_nobody_is_ours() {
        let (_, who, lock) = told(MYSQL, "other").remove(0);
        assert_eq!(
            (who, lock),
            (Who::Foreign("another dbdyno pool".into()), "X row shop.stock PRIMARY".into())
        );
    }

    #[test]
    fn a_circle_of_three_is_followed_from_one_to_the_next() {
        let side = |number, transaction, conflicts: &[&'static str]| Side {
            number,
            transaction,
            conflicts: conflicts.to_vec(),
            ..Side::default()
        };
        // Its own lock on the same page may stand among those in the way.
        let told = [side(1, "7", &["7", "9"]), side(2, "8", &["7"]), side(3, "9", &["8"])];
        assert_eq!(circle(&told, 1), [1, 0, 2]);
        let untold = [side(1, "7", &[]), side(2, "8", &[]), side(3, "9", &[])];
        assert_eq!(circle(&untold, 2), [2, 0, 1], "as they stand");
    }

    #[test]
    fn without_a_deadlock_or_its_victim_nothing_is_told() {
        let quiet = MYSQL.replace("LATEST DETECTED DEADLOCK", "LATEST FOREIGN KEY ERROR");
        assert_eq!(latest(&quiet, "shop", &registry()), None);
        let cut_off = MYSQL.replace("*** WE ROLL BACK TRANSACTION (1)", "");
        assert_eq!(latest(&cut_off, "shop", &registry()), None);
        assert_eq!(latest("", "shop", &registry()), None);
    }
}
