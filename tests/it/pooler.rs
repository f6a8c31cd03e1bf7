//! A PgBouncer between dbdyno and the server, in the mode that gives a session another server connection for each transaction.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
             pool_mode = transaction\ndefault_pool_size = {size}\nmax_client_conn = 400\n\
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
