//! Loads into a MariaDB or MySQL while another session holds locks in the table that is filled: what the server takes back for its sake
//! is sent again, once and in full.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use dbdyno::dataset::{DatasetError, Existing, LoadEvent, LoadSummary, load};
use dbdyno::db::Target;
use dbdyno::local::{LocalOptions, LocalServer, start_mysql};
use dbdyno::units::Dialect;
use dbdyno::workload::Workload;
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use tempfile::TempDir;

use crate::dataset::options;
use crate::harness::{is_mysql, local_options, on_this_server, runtime};
use crate::place::workload_of;

/// Two chunks and more, so that several statements are one transaction where the rows travel as INSERT.
const ROWS: u64 = 20_000;
/// A row of the last chunk.
const HELD: u64 = 19_999;

fn things() -> (TempDir, Workload) {
    let toml = format!(
        "name = \"rivals\"\n[table.things]\nrows = {ROWS}\n[table.things.column]\nid = {{ sequence = {{}} }}\n\
         note = {{ text = {{ length = [20, 40] }} }}\n[[transaction]]\nname = \"read\"\nstatements = [\"one\"]\n\
         parameter = {{ id = {{ key = {{ table = \"things\" }} }} }}\n"
    );
    let schema = "CREATE TABLE things (id bigint PRIMARY KEY, note varchar(40));";
    let queries = "-- name: one :one\nSELECT note FROM things WHERE id = :id;\n";
    let files = [("workload.toml", toml.as_str()), ("schema.mysql.sql", schema), ("queries.sql", queries)];
    workload_of(&files, Dialect::Mysql)
}

fn server() -> LocalServer {
    let options = LocalOptions { dialect: Dialect::Mysql, ..local_options() };
    runtime()
        .block_on(start_mysql(&options))
        .unwrap_or_else(|error| panic!("the tests need a MariaDB or MySQL: {error}"))
}

async fn execute(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// A session that inserts a row which the load brings as well, and keeps its transaction open.
struct Rival {
    holds: Receiver<()>,
    let_go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Rival {
    /// `locks_each_other`: it waits for the load in its turn once the load waits for it, and has changed so much more that the
    /// server takes the load's rows back and not its own.
    fn begin(url: &str, locks_each_other: bool) -> Self {
        let url = url.to_owned();
        let ((tell, holds), (let_go, may_go)) = (channel(), channel());
        let act = async move {
            let mut conn = Conn::from_url(&url).await.expect("a connection");
            execute(&mut conn, "SET SESSION innodb_lock_wait_timeout = 60").await;
            execute(&mut conn, "DROP TABLE IF EXISTS weight").await;
            execute(&mut conn, "CREATE TABLE weight (n int PRIMARY KEY)").await;
            execute(&mut conn, "BEGIN").await;
            if locks_each_other {
                execute(&mut conn, &on_this_server("INSERT INTO weight SELECT seq FROM seq_1_to_60000"))
                    .await;
            }
            execute(&mut conn, &format!("INSERT INTO things VALUES ({HELD}, 'held')")).await;
            tell.send(()).expect("the load waits for it");
            if locks_each_other {
                wait_for_a_waiter(&mut conn).await;
                execute(&mut conn, "INSERT INTO things VALUES (10, 'held as well')").await;
            } else {
                may_go.recv().expect("it is told");
            }
            execute(&mut conn, "ROLLBACK").await;
            execute(&mut conn, "DROP TABLE weight").await;
        };
        Self { holds, let_go, thread: std::thread::spawn(move || runtime().block_on(act)) }
    }

    fn end(self) {
        // One that has ended by itself no longer listens.
        let _ = self.let_go.send(());
        self.thread.join().expect("the rival came to its end");
    }
}

fn set_global(url: &str, name: &str, value: &str) {
    runtime().block_on(async {
        let mut conn = Conn::from_url(url).await.expect("a connection");
        execute(&mut conn, &format!("SET GLOBAL {name} = {value}")).await;
    });
}

/// Until another transaction waits for this one. The view is made anew only when nobody read it for 100 ms.
async fn wait_for_a_waiter(conn: &mut Conn) {
    let (waits, blocker) = if is_mysql() {
        ("performance_schema.data_lock_waits", "blocking_engine_transaction_id")
    } else {
        ("information_schema.innodb_lock_waits", "blocking_trx_id")
    };
    let waiters = format!(
        "SELECT count(*) FROM {waits} w JOIN information_schema.innodb_trx t ON t.trx_id = w.{blocker}
         WHERE t.trx_mysql_thread_id = CONNECTION_ID()"
    );
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        if conn.query_first::<u64, _>(waiters.as_str()).await.expect("an answer") == Some(1) {
            return;
        }
    }
    panic!("nobody waits for the rival");
}

/// Loads while a rival holds its row, from before the first row is sent; on the first note it lets go if it is to. Gives the
/// rows that were told as sent as well.
fn load_beside(
    url: &str,
    workload: &Workload,
    locks_each_other: bool,
    lets_go: bool,
) -> (Result<LoadSummary, DatasetError>, u64) {
    let target = Target::of_local_server(url).expect("a URL");
    let (mut rival, mut sent) = (None, 0);
    let loaded =
        runtime().block_on(load(&target, workload, &options(1.0, 1, Existing::Replace), &mut |event| {
            match event {
                LoadEvent::TableBegun { .. } => {
                    let begun = Rival::begin(url, locks_each_other);
                    begun.holds.recv().expect("the rival holds its row");
                    rival = Some(begun);
                }
                LoadEvent::RowsSent { rows, .. } => sent += rows,
                LoadEvent::Note(note) if lets_go && note.contains("sent again") => {
                    rival.as_ref().expect("it holds its row").let_go.send(()).expect("the rival listens");
                }
                _ => {}
            }
        }));
    rival.expect("the table was begun").end();
    (loaded, sent)
}

#[test]
fn rows_that_the_server_takes_back_for_another_session_are_sent_again() {
    let server = server();
    let url = server.url();
    let (_folder, workload) = things();
    let query = async |sql: &str| {
        let mut conn = Conn::from_url(url).await.expect("a connection");
        conn.query_first::<(u64, u64, u64), _>(sql).await.expect("an answer").expect("a row")
    };
    let digest = "SELECT count(*), sum(id), CAST(sum(crc32(note)) AS UNSIGNED) FROM things";
    let plain = Target::of_local_server(url).expect("a URL");
    let once = options(1.0, 1, Existing::Replace);
    runtime().block_on(load(&plain, &workload, &once, &mut |_| ())).unwrap_or_else(|error| panic!("{error}"));
    let expected = runtime().block_on(query(digest));
    assert_eq!(expected.0, ROWS);

    for local_infile in ["ON", "OFF"] {
        set_global(url, "local_infile", local_infile);
        for (locks_each_other, code) in [(true, "1213"), (false, "1205")] {
            // Who waits for a deadlock has the time that the rival needs to see it, on however busy a machine.
            set_global(url, "innodb_lock_wait_timeout", if locks_each_other { "60" } else { "1" });
            let (loaded, sent) = load_beside(url, &workload, locks_each_other, !locks_each_other);
            let summary =
                loaded.unwrap_or_else(|error| panic!("{code}, local_infile {local_infile}: {error}"));
            let told = summary.notes.iter().filter(|note| note.contains("sent again")).collect::<Vec<_>>();
            assert_eq!(told.len(), 1, "told once, however often it was: {:?}", summary.notes);
            assert!(told[0].contains("things") && told[0].contains(&format!("(error {code})")), "{told:?}");
            assert_eq!((summary.rows, sent), (ROWS, ROWS), "a row that is sent twice is told once");
            assert_eq!(runtime().block_on(query(digest)), expected, "{code}, local_infile {local_infile}");
        }
    }

    let (loaded, _) = load_beside(url, &workload, false, false);
    let error = loaded.expect_err("the rival keeps its row").to_string();
    assert!(error.contains("things (rolled back by the server each of 8 times)"), "{error}");
    assert!(error.contains("(error 1205)"), "{error}");
}
