//! A PgBouncer between dbdyno and the server, in the mode that gives a session another server connection for each transaction.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dbdyno::units::Protocol;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::config::Config;

use crate::harness::{Database, Session, wait_until};
use crate::place::{Place, measured};

/// One pooler in front of one database; it goes with its test.
pub struct PgBouncer {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one with at most `size` connections to the server.
    pub fn before(database: &Database, size: u32) -> Self {
        Self::with(database, size, "")
    }

    /// Starts one with these settings beside, a line each.
    fn with(database: &Database, size: u32, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // It may run as another user than the test does.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our own folder");
        let config: Config = database.url().parse().expect("the harness gives a URL");
        let [server_port] = config.get_ports() else { panic!("not one port") };
        let user = config.get_user().expect("a user");
        let password = String::from_utf8_lossy(config.get_password().expect("a password")).into_owned();
        let port = free_port();
        let file = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n\
             {name} = host=127.0.0.1 port={server_port} user={user} password='{password}'\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             admin_users = {user}\npool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 400\n\
             ignore_startup_parameters = extra_float_digits\n{settings}\n",
            name = database.name(),
        );
        std::fs::write(&file, text).expect("our own folder");
        let mut command = Command::new(program());
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("PgBouncer can be started");
        let url = format!("postgres://{user}@127.0.0.1:{port}/{}?sslmode=disable", database.name());
        let pooler = Self { process, url, _folder: folder };
        wait_until("PgBouncer answers", Duration::from_secs(20), || {
            Session::try_open(&pooler.url, "harness").is_ok()
        });
        pooler
    }

    /// Its admin console.
    pub fn console(&self) -> String {
        let (start, _) = self.url.rsplit_once('/').expect("a database");
        format!("{start}/pgbouncer?sslmode=disable")
    }

    /// Where measured sessions connect.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_pooler_that_leads_elsewhere_is_refused() {
    let (database, other) = (Database::empty(), Database::empty());
    let pooler = PgBouncer::before(&other, 2);
    let place = Place::one_statement("SELECT 1");
    let words = format!("run --clients 1 --duration 1s --pooler {}", pooler.url());
    let refused = place.measure(database.url(), &words);
    assert!(matches!(refused.code, Some(1 | 2)), "{:?}", refused.code);
    let said = format!("leads to database {}", other.name());
    assert!(refused.errors.contains(&said), "{}", refused.errors);
}

#[test]
fn more_clients_than_the_server_has_connections_are_what_a_pooler_is_for() {
    let database = Database::empty();
    let pooler = PgBouncer::before(&database, 4);
    let place = Place::one_statement("SELECT 1 AS one");
    // The server of the tests has room for 200.
    let words = format!(
        "run --clients 250 --pool-size 250 --warmup 500ms --duration 2s --protocol extended --pooler {}",
        pooler.url()
    );
    let report = place.report(database.url(), &words);
    let stage = measured(&report);
    assert!(stage.accounting.ok > 0 && stage.accounting.failed == 0, "{:?}", stage.accounting);
    assert_eq!(stage.pool.size, 250);

    // It lets 400 in, and says so to whoever asks before anything is measured.
    let words = format!(
        "pool --sizes 2,500 --clients 2 --duration 1s --pooler {} --pooler-admin {}",
        pooler.url(),
        pooler.console()
    );
    let refused = place.measure(database.url(), &words);
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(refused.errors.contains("lets 400 clients in (max_client_conn)"), "{}", refused.errors);
}

#[test]
fn a_pooler_of_the_users_tells_how_it_must_be_talked_to() {
    let place = Place::one_statement("SELECT 1 AS one");
    // Versions before 1.21 do not know the setting.
    let arranged: &[(&str, Option<u64>)] = if keeps_prepared() {
        &[("max_prepared_statements = 0", Some(0)), ("max_prepared_statements = 100", Some(100))]
    } else {
        &[("", None)]
    };
    for (settings, kept) in arranged {
        let database = Database::empty();
        let pooler = PgBouncer::with(&database, 2, settings);
        let words = format!(
            "run --clients 6 --pool-size 6 --warmup 300ms --duration 2s --pooler {} --pooler-admin {}",
            pooler.url(),
            pooler.console()
        );
        let report = place.report(database.url(), &words);
        let stage = measured(&report);
        assert!(stage.accounting.ok > 0 && stage.accounting.failed == 0, "{:?}", stage.accounting);
        let about = report.pooler.as_ref().expect("its console was asked");
        assert!(about.name.starts_with("PgBouncer 1.") && !about.is_own, "{about:?}");
        assert_eq!((about.mode.as_deref(), about.pool_size), (Some("transaction"), Some(2)));
        assert_eq!(about.prepared_statements_max, *kept, "{about:?}");
        let keeps = kept.is_some_and(|most| most > 0);
        let expected = if keeps { Protocol::Prepared } else { Protocol::Extended };
        assert_eq!(report.sessions.protocol, expected);
        assert_eq!(report.events.iter().any(|event| event.kind == "protocol_chosen"), !keeps);
        let seen = stage.pooler.as_ref().expect("it was looked at");
        assert!(seen.looks >= 3 && seen.servers_max <= 2, "{seen:?}");
        // Every look held connections, whatever else the columns of this version are.
        assert!(seen.servers_active_mean + seen.servers_idle_mean > 0.0, "{seen:?}");
        assert!(seen.clients_active_mean + seen.clients_waiting_mean > 4.0, "{seen:?}");
        let work = seen.work.as_ref().expect("several looks");
        assert!(work.transactions_per_s > 0.0 && work.query_us_mean > 0.0, "{work:?}");
        assert!(work.received_bytes_per_s > 0.0 && work.sent_bytes_per_s > 0.0, "{work:?}");

        let asked = place.measure(database.url(), &format!("{words} --protocol prepared"));
        let expected = if keeps { Some(0) } else { Some(2) };
        assert_eq!(asked.code, expected, "{}", asked.errors);
        assert!(keeps || asked.errors.contains("transaction mode"), "{}", asked.errors);
        // Who is no console is told so before anything is measured.
        let elsewhere = words.replace(&pooler.console(), pooler.url());
        let refused = place.measure(database.url(), &elsewhere);
        assert_eq!(refused.code, Some(2), "{}", refused.errors);
        assert!(refused.errors.contains("--pooler-admin"), "{}", refused.errors);
    }
}

/// More sessions than server connections, more statements than are kept for each of these, in transactions of several statements:
/// each does its work, and once.
#[test]
fn sessions_that_change_servers_find_their_statements() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL); INSERT INTO stock SELECT i, 0 FROM generate_series(1, 50) i",
    );
    let settings = if keeps_prepared() { "max_prepared_statements = 2" } else { "" };
    let pooler = PgBouncer::with(&database, 2, settings);
    let place = Place::new(
        "name = \"stock\"\n[[transaction]]\nname = \"buy\"\nstatements = [\"look\", \"take\", \"left\"]\n\
         [transaction.parameter]\nid = { uniform = [1, 50] }\n\
         [[transaction]]\nname = \"grab\"\nstatements = [\"take_one\"]\n[transaction.parameter]\nid = { uniform = [1, 50] }\n",
        "-- name: look :one\nSELECT n FROM stock WHERE id = :id;\n\
         -- name: take :exec\nUPDATE stock SET n = n + 1 WHERE id = :id;\n\
         -- name: left :one\nSELECT sum(n) AS sum FROM stock WHERE id <> :id;\n\
         -- name: take_one :exec\nUPDATE stock SET n = n + 1 WHERE id = :id;\n",
    );
    let words = format!(
        "run --clients 8 --pool-size 8 --warmup 300ms --duration 2s --pooler {} --pooler-admin {}",
        pooler.url(),
        pooler.console()
    );
    let report = place.report(database.url(), &words);
    let expected = if keeps_prepared() { Protocol::Prepared } else { Protocol::Extended };
    assert_eq!(report.sessions.protocol, expected);
    let stage = measured(&report);
    assert_eq!((stage.accounting.failed, stage.accounting.unknown), (0, 0), "{:?}", stage.transactions);
    assert!(stage.pooler.as_ref().is_some_and(|seen| seen.servers_max <= 2), "{:?}", stage.pooler);
    assert!(stage.transactions.iter().all(|of| of.ok > 0), "{:?}", stage.transactions);
    let taken: u64 = report.stages.iter().map(|stage| stage.accounting.ok).sum();
    assert_eq!(database.value("SELECT sum(n) FROM stock"), taken.to_string());
}

/// Each size has a copy of the loaded database, which a pooler of our own leads to by its name.
#[test]
fn a_pool_study_through_a_pooler_of_our_own_begins_with_what_was_loaded() {
    let place = Place::new(
        "name = \"growing\"\n[table.things]\nrows = 100\n[table.things.column]\nid = { sequence = {} }\n\
         [[transaction]]\nname = \"grow\"\nstatements = [\"add\", \"there\"]\n",
        "-- name: add :exec\nINSERT INTO things DEFAULT VALUES;\n-- name: there :one\nSELECT count(*) AS rows FROM things;\n",
    )
    .file(
        "schema.sql",
        "CREATE TABLE things (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY);\n",
    );
    let words = "pool --sizes 2,6 --clients 6 --repeats 1 --duration 1s --warmup 0s --pooler pgbouncer --pooler-pool 2 \
                 --reset template";
    let ended = place.measure("local", words);
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    assert_eq!(ended.errors.matches("copied as").count(), 2, "{}", ended.errors);
    let report = ended.report();
    assert_eq!(report.data.as_ref().map(|data| data.reset.as_str()), Some("template"));
    let about = report.pooler.as_ref().expect("it was started for this");
    // Versions from 1.21 on can, those before 1.24 only if they are told.
    assert_eq!(about.prepared_statements_max, keeps_prepared().then_some(200), "{about:?}");
    let expected = if keeps_prepared() { Protocol::Prepared } else { Protocol::Extended };
    assert_eq!(report.sessions.protocol, expected);
    for stage in &report.stages {
        assert!(stage.accounting.ok > 0 && stage.accounting.failed == 0, "{:?}", stage.accounting);
        // Two connections for each database: those of another copy are not counted.
        let seen = stage.pooler.as_ref().expect("it was looked at");
        assert!((1..=2).contains(&seen.servers_max), "{seen:?}");
        assert!(seen.work.as_ref().is_some_and(|work| work.transactions_per_s > 0.0), "{seen:?}");
    }
}

#[test]
fn a_pooler_of_our_own_in_session_mode_needs_a_server_connection_for_each_session() {
    let place = Place::one_statement("SELECT 1 AS one");
    let words = "run --clients 4 --pool-size 4 --warmup 0s --duration 1s --pooler pgbouncer:session";
    let refused = place.measure("local", &format!("{words} --pooler-pool 2"));
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(refused.errors.contains("--pooler-pool is 2"), "{}", refused.errors);

    let report = place.report("local", words);
    let about = report.pooler.as_ref().expect("it was started for this");
    assert_eq!((about.is_own, about.mode.as_deref(), about.pool_size), (true, Some("session"), Some(4)));
    // A session has its server connection to itself, and statements prepared there.
    assert_eq!(report.sessions.protocol, Protocol::Prepared);
    assert_eq!(measured(&report).accounting.failed, 0);
}

#[test]
fn a_pooler_of_our_own_goes_with_a_killed_dbdyno() {
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words = "run --clients 2 --pool-size 2 --warmup 0s --duration 60s --pooler pgbouncer";
    let running = place.begin("local", words);
    place.wait_for_seconds(1);
    let pooler =
        descendants(running.pid()).into_iter().find(|pid| name(*pid).as_deref() == Some("pgbouncer"));
    let pooler = pooler.expect("a PgBouncer among its descendants");
    running.signal(Signal::KILL);
    wait_until("PgBouncer is gone", Duration::from_secs(20), || name(pooler).as_deref() != Some("pgbouncer"));
}

/// Processes that were started by this one, or by one of those.
fn descendants(of: i32) -> Vec<i32> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let processes =
            std::fs::read_dir("/proc").expect("the tests of killed programs need /proc").flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        found.extend(numbers.filter(|pid| parent_of(*pid) == Some(parent)));
    }
    found.split_off(1)
}

fn parent_of(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the state and the parent stand behind it.
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn name(pid: i32) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

/// The tests need one, as they need a server; `scripts/setup.sh tests` installs it. Where dbdyno itself looks for it.
fn program() -> PathBuf {
    let named = std::env::var_os("DBDYNO_PGBOUNCER_BINDIR").filter(|folder| !folder.is_empty());
    let places: Vec<PathBuf> = if let Some(folder) = named {
        vec![folder.into()]
    } else {
        let usual = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        usual.into_iter().chain(std::env::split_paths(&on_path)).collect()
    };
    places
        .into_iter()
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| Path::is_file(program))
        .expect("the tests need PgBouncer: run scripts/setup.sh tests")
}

/// Whether it can keep prepared statements for each server connection: from 1.21 on.
fn keeps_prepared() -> bool {
    let output = Command::new(program()).arg("--version").output().expect("PgBouncer can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.strip_prefix("PgBouncer ").unwrap_or_else(|| panic!("no version: {text}"));
    let mut numbers = version.split(['.', '\n']).map(|part| part.trim().parse::<u32>());
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or_else(|| panic!("no version: {text}"));
    (next(), next()) >= (1, 21)
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
