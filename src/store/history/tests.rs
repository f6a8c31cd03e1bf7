//! What holds for a SQLite file, and for addresses.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

use super::suite::{self, open, run};
use super::{
    AddressError, Filter, History, HistoryError, Pool, PostgresAddress, RunRecord, StoreAddress, export,
    import,
};

tests_of_a_store!(fresh);

/// A store that is not there yet, in a folder that is not there yet either.
fn fresh() -> (StoreAddress, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    (StoreAddress::File(folder.path().join("data").join("history.sqlite")), folder)
}

fn path_of(address: &StoreAddress) -> PathBuf {
    match address {
        StoreAddress::File(path) => path.clone(),
        StoreAddress::Postgres(address) => panic!("{address} is not a file"),
    }
}

/// A store with one run, closed again.
async fn with_a_run() -> (StoreAddress, TempDir) {
    let (address, folder) = fresh();
    let history = open(&address).await;
    history.put(&run(1)).await.expect("stored");
    history.close().await;
    (address, folder)
}

/// Does something to the file that no store does to itself.
async fn execute(path: &Path, sql: &'static str) {
    use sqlx::Connection as _;
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.expect("it opens");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("it is done");
    connection.close().await.expect("it closes");
}

/// The error of an opening, after which the file is what it was.
async fn refused(path: &Path) -> HistoryError {
    let before = path.is_file().then(|| std::fs::read(path).expect("readable"));
    let opened = History::open(&StoreAddress::File(path.to_owned())).await;
    let error = opened.map(drop).expect_err("it is no store of ours");
    let after = path.is_file().then(|| std::fs::read(path).expect("readable"));
    assert!(after == before, "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    error
}

/// Names of the files in a folder.
fn names_in(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("readable").file_name()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn what_is_not_a_store_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("some.file");
    for garbage in ["x".as_bytes(), &[0; 4096], b"SQLite format 2\0 and more"] {
        std::fs::write(&path, garbage).expect("written");
        let error = refused(&path).await;
        assert!(matches!(error, HistoryError::NotAStore { found: "not a SQLite file", .. }), "{error}");
    }
    let folder_itself = refused(folder.path()).await;
    assert!(matches!(folder_itself, HistoryError::NotAStore { found: "a folder", .. }), "{folder_itself}");
    let below_a_file = History::open(&StoreAddress::File(path.join("history.sqlite"))).await;
    assert!(matches!(below_a_file, Err(HistoryError::Io { .. })));

    let other = folder.path().join("other.sqlite");
    execute(&other, "CREATE TABLE runs (mine TEXT); INSERT INTO runs VALUES ('precious')").await;
    let error = refused(&other).await;
    assert!(matches!(error, HistoryError::NotAStore { .. }), "{error}");
    execute(&other, "PRAGMA application_id = 1; DROP TABLE runs").await;
    let error = refused(&other).await;
    assert!(matches!(error, HistoryError::NotAStore { .. }), "{error}");
    assert_eq!(names_in(folder.path()), ["other.sqlite", "some.file"], "nothing is left beside them");
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_stays_as_it_is() {
    let (address, _folder) = with_a_run().await;
    let path = path_of(&address);
    let whole = std::fs::read(&path).expect("readable");
    for length in
        [17, 100, 512, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 512, whole.len() - 1]
    {
        std::fs::write(&path, &whole[..length]).expect("written");
        let error = refused(&path).await;
        assert!(matches!(error, HistoryError::Damaged { .. }), "{length}: {error}");
    }
    let mut spoilt = whole.clone();
    spoilt[4096..8192].fill(0xee);
    std::fs::write(&path, &spoilt).expect("written");
    let history = History::open(&address).await;
    let used = match history {
        Ok(history) => history.get(&run(1).summary.id).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(matches!(used, Err(HistoryError::Damaged { .. })), "{used:?}");

    std::fs::write(&path, []).expect("written");
    std::fs::write(path.with_extension("sqlite-wal"), b"what is left").expect("written");
    let error = refused(&path).await;
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn a_store_of_another_program_version_is_refused_and_stays_as_it_is() {
    let (address, _folder) = with_a_run().await;
    let path = path_of(&address);
    execute(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'of the future', TRUE, x'00', 0)",
    )
    .await;
    let newer = refused(&path).await;
    assert!(matches!(newer, HistoryError::Newer { found: 99, .. }), "{newer}");
    assert!(newer.to_string().contains("was written by a newer dbdyno"), "{newer}");
    assert_eq!(names_in(path.parent().expect("a folder")), ["history.sqlite"], "nothing is left beside it");

    execute(&path, "DELETE FROM _sqlx_migrations WHERE version = 99").await;
    assert_eq!(open(&address).await.get(&run(1).summary.id).await.expect("there"), run(1));
    execute(&path, "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    let other = refused(&path).await;
    assert!(matches!(other, HistoryError::OtherBuild { version: 1, .. }), "{other}");
}

/// Where the test runs as root, whom no permission stops, a thread of another user does it; only Linux has such threads.
#[cfg(target_os = "linux")]
#[test]
fn what_may_not_be_read_or_written_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let (closed, open_to_all) = (folder.path().join("closed"), folder.path().join("open.sqlite"));
    std::fs::create_dir(&closed).expect("a folder");
    let (store, secret) = (StoreAddress::File(open_to_all.clone()), folder.path().join("secret.sqlite"));
    suite::on_an_event_loop(async {
        let history = open(&store).await;
        history.put(&run(1)).await.expect("stored");
        history.close().await;
    });
    std::fs::copy(&open_to_all, &secret).expect("copied");
    permit(&[(&open_to_all, 0o444), (&secret, 0o000), (&closed, 0o555), (folder.path(), 0o555)]);

    let as_somebody = std::thread::spawn(move || {
        become_somebody();
        suite::on_an_event_loop(async {
            let unreadable = History::open(&StoreAddress::File(secret)).await.map(drop);
            assert!(matches!(unreadable, Err(HistoryError::Denied { .. })), "{unreadable:?}");
            let unwritable = History::open(&StoreAddress::File(closed.join("new.sqlite"))).await.map(drop);
            assert!(matches!(unwritable, Err(HistoryError::Denied { .. })), "{unwritable:?}");
            let read_only = match History::open(&store).await {
                Ok(history) => history.put(&run(2)).await,
                Err(error) => Err(error),
            };
            assert!(matches!(read_only, Err(HistoryError::Denied { .. })), "{read_only:?}");
        });
    });
    let done = as_somebody.join();
    permit(&[(folder.path(), 0o755), (&folder.path().join("closed"), 0o755)]);
    done.expect("all was refused");
}

#[cfg(target_os = "linux")]
fn permit(modes: &[(&Path, u32)]) {
    use std::os::unix::fs::PermissionsExt as _;
    for (path, mode) in modes {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)).expect("it is ours");
    }
}

/// This thread, and those that it starts, lose the rights of root.
#[cfg(target_os = "linux")]
fn become_somebody() {
    if rustix::process::geteuid().is_root() {
        let nobody = rustix::fs::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
    }
}

/// SQLite refuses pages beyond a limit as it does on a full disk.
#[tokio::test]
async fn a_full_disk_is_said_and_the_store_stays_readable() {
    let (address, _folder) = with_a_run().await;
    let history = open(&address).await;
    let Pool::Sqlite(pool) = &history.pool else { panic!("a file") };
    // All connections that there can be, since any of them may write.
    let mut connections = Vec::new();
    while connections.len() < super::sqlite::CONNECTIONS_MAX as usize {
        let mut connection = pool.acquire().await.expect("a connection");
        sqlx::raw_sql("PRAGMA max_page_count = 30").execute(&mut *connection).await.expect("set");
        connections.push(connection);
    }
    drop(connections);
    let mut large = run(2);
    large.distributions[0].histogram = vec![1; 1_000_000];
    let error = history.put(&large).await.expect_err("no space");
    assert!(matches!(error, HistoryError::Full { .. }), "{error}");
    assert!(error.to_string().contains(history.address()), "{error}");
    assert_eq!(history.list(&Filter::default()).await.expect("readable"), [run(1).summary]);
    history.set_note(&run(1).summary.id, "small things still fit").await.expect("written");
}

#[tokio::test]
async fn a_run_that_is_deleted_leaves_no_row_in_any_table() {
    let (address, _folder) = with_a_run().await;
    let history = open(&address).await;
    let Pool::Sqlite(pool) = &history.pool else { panic!("a file") };
    let rows = async || {
        let sql =
            "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM tags), (SELECT count(*) FROM reports),
                          (SELECT count(*) FROM metrics), (SELECT count(*) FROM distributions)";
        sqlx::query_as::<_, (i64, i64, i64, i64, i64)>(sql).fetch_one(pool).await.expect("counted")
    };
    assert_eq!(rows().await, (1, 2, 1, 4, 4));
    assert_eq!(history.delete(&[run(1).summary.id]).await.expect("deleted"), 1);
    assert_eq!(rows().await, (0, 0, 0, 0, 0));
}

#[tokio::test]
async fn who_waits_too_long_is_told_that_the_store_is_busy_and_readers_do_not_wait() {
    let (address, _folder) = with_a_run().await;
    let holder = open(&address).await;
    let Pool::Sqlite(pool) = &holder.pool else { panic!("a file") };
    let transaction = pool.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let waiter = History::open_with(&address, Duration::from_millis(200)).await.expect("open without a lock");
    assert_eq!(waiter.list(&Filter::default()).await.expect("readable").len(), 1);
    let busy = waiter.put(&run(2)).await;
    assert!(matches!(busy, Err(HistoryError::Busy { .. })), "{busy:?}");
    transaction.rollback().await.expect("released");
    waiter.put(&run(2)).await.expect("its turn");
}

/// A copy may have lost the mode, as `VACUUM INTO` makes one without it.
#[tokio::test]
async fn the_write_ahead_log_waits_for_those_who_read_without_it() {
    let (address, _folder) = with_a_run().await;
    let path = path_of(&address);
    execute(&path, "PRAGMA journal_mode = DELETE").await;
    let mut reader = SqliteConnectOptions::new().filename(&path).connect().await.expect("it opens");
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM runs").execute(&mut reader).await.expect("it reads");
    let hasty = History::open_with(&address, Duration::from_millis(100)).await.map(drop);
    assert!(matches!(hasty, Err(HistoryError::Busy { .. })), "{hasty:?}");
    let (opened, ()) = tokio::join!(History::open(&address), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sqlx::raw_sql("COMMIT").execute(&mut reader).await.expect("it ends");
    });
    let history = opened.expect("its turn");
    let Pool::Sqlite(pool) = &history.pool else { panic!("a file") };
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await.expect("known");
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn names_that_sqlite_would_read_otherwise_are_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["file:a?mode=memory", ":memory:", "ü ? % #.sqlite"] {
        let address = StoreAddress::File(folder.path().join(name));
        let history = open(&address).await;
        history.put(&run(1)).await.expect("stored");
        history.close().await;
        assert!(folder.path().join(name).metadata().expect("a file").len() > 0, "{name}");
        assert_eq!(open(&address).await.list(&Filter::default()).await.expect("readable").len(), 1);
    }
}

/// Set for the processes that a test starts: the store that they write to, and the number of their first run.
const STORE_OF_A_PROCESS: &str = "DBDYNO_TEST_STORE";
const FIRST_OF_A_PROCESS: &str = "DBDYNO_TEST_FIRST";

/// How many runs such a process puts.
const RUNS_OF_A_PROCESS: u32 = 40;

/// Not a test by itself: the others start it in processes of its own. Says each run that is stored.
#[tokio::test]
async fn a_process_that_puts_runs() {
    let Some(store) = std::env::var_os(STORE_OF_A_PROCESS) else { return };
    let first: u32 =
        std::env::var(FIRST_OF_A_PROCESS).ok().and_then(|text| text.parse().ok()).expect("a number");
    let history = open(&StoreAddress::File(store.into())).await;
    for number in first..first + RUNS_OF_A_PROCESS {
        history.put(&large(number)).await.unwrap_or_else(|error| panic!("{error}"));
        say(&run(number).summary.id);
    }
    history.close().await;
}

/// The parent reads it: a test's own output is not captured with --nocapture.
fn say(id: &str) {
    writeln!(std::io::stdout(), "stored {id}").expect("the parent listens");
}

/// Of several pages, so that a kill has something to tear.
fn large(number: u32) -> RunRecord {
    let mut record = run(number);
    record.distributions[0].histogram = vec![u8::try_from(number % 251).expect("small"); 200_000];
    record
}

fn writing_process(address: &StoreAddress, first: u32) -> Child {
    Command::new(std::env::current_exe().expect("it runs"))
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("{}::a_process_that_puts_runs", module_path!().split_once("::").expect("in a crate").1))
        .env(STORE_OF_A_PROCESS, path_of(address))
        .env(FIRST_OF_A_PROCESS, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the test program runs again")
}

/// Ids that a process said it had stored.
fn said(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(|line| line.rsplit_once("stored ")).map(|(_, id)| id.to_owned()).collect()
}

#[tokio::test]
async fn processes_that_make_and_fill_a_store_together_lose_nothing() {
    const PROCESSES: u32 = 6;
    let (address, _folder) = fresh();
    let processes: Vec<Child> =
        (0..PROCESSES).map(|process| writing_process(&address, process * RUNS_OF_A_PROCESS)).collect();
    for process in processes {
        let output = process.wait_with_output().expect("it ends");
        assert!(output.status.success());
        assert_eq!(said(&output.stdout).len(), RUNS_OF_A_PROCESS as usize);
    }
    let history = open(&address).await;
    assert_eq!(
        history.list(&Filter::default()).await.expect("readable").len(),
        (PROCESSES * RUNS_OF_A_PROCESS) as usize
    );
}

#[tokio::test]
async fn a_writer_that_is_killed_leaves_all_that_it_had_stored() {
    let (address, _folder) = fresh();
    let mut stored = Vec::new();
    for round in 0..8_u32 {
        let mut process = writing_process(&address, round * RUNS_OF_A_PROCESS);
        // From the middle of the making of the store to the middle of its runs.
        tokio::time::sleep(Duration::from_millis(u64::from(5 + 25 * round))).await;
        process.kill().expect("it was started");
        let output = process.wait_with_output().expect("it ended");
        stored.extend(said(&output.stdout));

        let history = open(&address).await;
        let listed = history.list(&Filter::default()).await.expect("readable");
        for id in &stored {
            assert!(listed.iter().any(|run| run.id == *id), "{id} was lost in round {round}");
        }
        for summary in &listed {
            let number = u32::try_from(summary.started_at_us / 1_000_000).expect("small");
            assert_eq!(history.get(&summary.id).await.expect("whole"), large(number));
        }
        history.close().await;
    }
    assert!(!stored.is_empty(), "no process came so far as to store a run");
}

#[test]
fn an_address_is_a_file_or_a_postgresql_database() {
    for path in ["history.sqlite", "/tmp/x", "./postgres:x", "a b/ü.db", "file:x", "c:\\x", "://x", "-"] {
        let address: StoreAddress = path.parse().expect(path);
        assert_eq!(path_of(&address), Path::new(path));
        assert_eq!(address.to_string(), path);
    }
    let shown = |url: &str| url.parse::<StoreAddress>().expect(url).to_string();
    assert_eq!(shown("postgres://u:pw@h:6000/d"), "postgres://u@h:6000/d");
    assert_eq!(shown("postgresql://u@h:5432/d?sslmode=require&application_name=x"), "postgres://u@h:5432/d");
    assert_eq!(shown("postgres://u@h:5432"), "postgres://u@h:5432/u");
    assert_eq!(shown("postgres:///d?host=/run/pg&user=u&password=pw"), "postgres://u@/d?host=/run/pg");
    for (text, expected) in [
        ("", "is empty"),
        ("mysql://h/d", "a store cannot be at mysql:// (give the path of a file, or postgres://"),
        ("sqlite://x", "a store cannot be at sqlite://"),
        ("https://h/d", "a store cannot be at https://"),
        ("postgres://h/d?sslmode=no", "cannot be read"),
        ("postgres://h:port/d", "cannot be read"),
        ("postgres://h/d?connect_timeout=3", "a parameter `connect_timeout` (known are host,"),
    ] {
        let error = text.parse::<StoreAddress>().expect_err(expected).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[tokio::test]
async fn no_message_shows_a_password() {
    for url in [
        "postgres://u:hunter2@127.0.0.1:1/d",
        "postgres://u@127.0.0.1:1/d?password=hunter2",
        "postgres://u:hunter2@127.0.0.1:port/d",
        "postgres://u:hun%ter2@h/d?x=hunter2",
        "postgres://u:p@hunter2/o?hunter2@h/d",
        "postgres://u:p?hunter2@h/d",
        "postgres://u:p#hunter2@h/d",
        "postgres://u:hunter2@h/d?sslmode=hunter",
        "postgres://[u:hunter2@h/d",
    ] {
        match url.parse::<StoreAddress>() {
            Err(error) => {
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error} {error:?}");
            }
            Ok(address) => {
                assert!(!format!("{address} {address:?}").contains("hunter2"), "{address:?}");
                let error = History::open(&address).await.map(drop).expect_err("nobody listens");
                assert!(matches!(error, HistoryError::Unreachable { .. }), "{error}");
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            }
        }
    }
    let unescaped = "postgres://u:p/w@h/d".parse::<PostgresAddress>().expect_err("ambiguous");
    assert!(matches!(unescaped, AddressError::Unescaped));
}

/// Exports of version 1 lie on people's disks: they can be read for ever.
#[test]
fn an_export_of_the_first_version_can_be_read() {
    let line = concat!(
        r#"{"dbdyno_export":1,"run":{"summary":{"id":"20260102-000001-00ff","kind":"run","started_at_us":1000000,"#,
        r#""duration_us":30000001,"ended":"completed","verdict":"pass","workload":"shop","scale":0.1,"#,
        r#""fingerprint":"f00d","engine":"postgresql","server_version":"15.18","#,
        r#""target":"db.example:5432/shop, user bench","dbdyno_version":"0.1.0","note":"","#,
        r#""tags":["nightly","number-1"],"per_s":0.3333333333333333,"p50_us":1200,"p99_us":45000,"failed":0},"#,
        r#""report":"null","metrics":{"errors.rate":0.30000000000000004},"distributions":[{"stage":0,"owner":"","#,
        r#""what":"response","count":9007199254740993,"sum_ns":9223372036854775807,"histogram":"AP8KDQ=="}]}}"#
    );
    let mut expected = run(1);
    expected.report = "null".to_owned();
    expected.metrics.retain(|path, _| path == "errors.rate");
    expected.distributions.truncate(1);
    assert_eq!(import(line).expect("version 1"), expected);
    assert_eq!(export(&expected).expect("it can be exported"), line);
}

/// Stores of version 1 lie on people's disks: they open for ever.
#[tokio::test]
async fn a_store_of_the_first_version_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("v1.sqlite");
    std::fs::copy(first_version(), &copy).expect("the fixture is there");
    let history = open(&StoreAddress::File(copy)).await;
    for number in [1, 2] {
        assert_eq!(history.get(&run(number).summary.id).await.expect("it is there"), run(number));
    }
    history.put(&run(3)).await.expect("it can be written");
}

/// Made once by the program that knew nothing but version 1, which put `run(1)` and `run(2)` into it.
fn first_version() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store/v1.sqlite")
}
