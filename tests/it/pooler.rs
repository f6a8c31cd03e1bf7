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
             ignore_startup_parameters = extra_float_digits\n",
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
}

#[test]
fn a_pooler_of_the_users_tells_how_it_must_be_talked_to() {
    let database = Database::empty();
    let pooler = PgBouncer::before(&database, 2);
    let place = Place::one_statement("SELECT 1 AS one");
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
    let keeps = about.prepared_statements_max.is_some_and(|most| most > 0);
    let expected = if keeps { Protocol::Prepared } else { Protocol::Extended };
    assert_eq!(report.sessions.protocol, expected);
    assert_eq!(report.events.iter().any(|event| event.kind == "protocol_chosen"), !keeps);
    let seen = stage.pooler.as_ref().expect("it was looked at");
    assert!(seen.looks >= 3 && seen.servers_max <= 2, "{seen:?}");
    assert!(seen.work.as_ref().is_some_and(|work| work.transactions_per_s > 0.0), "{seen:?}");

    let refused = place.measure(database.url(), &format!("{words} --protocol prepared"));
    assert!(
        keeps || refused.code == Some(2) && refused.errors.contains("transaction mode"),
        "{}",
        refused.errors
    );
    // Who is no console is told so before anything is measured.
    let elsewhere = words.replace(&pooler.console(), pooler.url());
    let refused = place.measure(database.url(), &elsewhere);
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(refused.errors.contains("--pooler-admin"), "{}", refused.errors);
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

/// The tests need one, as they need a server; `scripts/setup.sh tests` installs it.
fn program() -> PathBuf {
    let usual = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let on_path = std::env::var_os("PATH");
    let on_path = on_path.iter().flat_map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    usual
        .into_iter()
        .chain(on_path)
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| Path::is_file(program))
        .expect("the tests need PgBouncer: run scripts/setup.sh tests")
}

/// A port that nobody listened on a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
