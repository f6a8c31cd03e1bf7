//! Throwaway servers: they start for everybody, they let nobody else in, and nothing of them is left.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use dbdyno::local::{LocalOptions, LocalServer, SUPERVISE, start_postgres};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::harness::{Session, local_options, program, runtime, wait_until};

/// An immediate shutdown gives the server's children five seconds.
pub const REMOVED_WITHIN: Duration = Duration::from_secs(12);

#[test]
fn a_server_starts_durable_and_leaves_nothing() {
    let server = start(&[]);
    let session = Session::open(server.url(), "test");
    for (setting, expected) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("track_io_timing", "on"),
        ("compute_query_id", "on"),
        ("shared_preload_libraries", "pg_stat_statements"),
    ] {
        assert_eq!(session.value(&format!("SHOW {setting}")), expected, "{setting}");
    }
    assert_ne!(session.value("SELECT count(*) FROM pg_stat_statements"), "0");
    assert_eq!(session.value("SHOW server_version"), server.version());
    assert_eq!(server.notices(), [] as [String; 0]);
    assert!(server.log_tail().contains("ready to accept connections"), "{}", server.log_tail());

    let (pid, folder) = (server.pid(), server.folder().to_path_buf());
    assert_ne!(fs::metadata(format!("/proc/{pid}")).expect("it runs").uid(), 0, "it runs as root");
    assert_eq!(fs::metadata(&folder).expect("it exists").permissions().mode() & 0o777, 0o700);
    assert_ne!(process_group(pid), process_group(own_pid()), "Ctrl-C in the terminal would reach it");
    assert_ne!(
        session_of(pid),
        session_of(own_pid()),
        "it has its share of the processors, and we have ours"
    );
    runtime().block_on(server.stop()).expect("it stops");
    assert!(!lives(pid) && !folder.exists());
}

#[test]
fn dropping_it_is_enough() {
    let server = start(&[]);
    let (pid, folder) = (server.pid(), server.folder().to_path_buf());
    drop(server);
    assert!(!lives(pid) && !folder.exists());
}

#[test]
fn a_restarted_server_answers_at_the_same_address_with_what_it_held() {
    let runtime = runtime();
    let mut server = runtime.block_on(start_postgres(&local_options())).expect("it starts");
    let (url, pid, folder) = (server.url().to_owned(), server.pid(), server.folder().to_path_buf());
    Session::open(&url, "test").execute("CREATE TABLE kept AS SELECT 7 AS number");
    for _ in 0..2 {
        runtime.block_on(server.restart()).expect("it starts again");
        assert_eq!(Session::open(&url, "test").value("SELECT number FROM kept"), "7");
    }
    assert_ne!(server.pid(), pid, "another process");
    assert!(!lives(pid));
    let pid = server.pid();
    runtime.block_on(server.stop()).expect("it stops");
    assert!(!lives(pid) && !folder.exists(), "nothing is left of the second one either");
}

/// The processors that a thread may run on, as the kernel lists them.
fn processors(task: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{task}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.expect("the kernel says it").trim().to_owned()
}

#[test]
fn a_server_with_all_its_processes_keeps_to_its_processors() {
    let ours = processors("thread-self");
    let first = ours.split([',', '-']).next().expect("at least one").to_owned();
    let options = LocalOptions { cpus: Some(first.parse().expect("a list")), ..local_options() };
    let server = runtime().block_on(start_postgres(&options)).expect("it starts");
    assert_eq!(processors("thread-self"), ours, "whoever starts it goes on everywhere");
    let session = Session::open(server.url(), "test");
    let pids = session.rows("SELECT pid FROM pg_stat_activity");
    assert!(pids.len() > 3, "itself and the server's own: {pids:?}");
    for pid in pids.into_iter().flatten().flatten().chain([server.pid().to_string()]) {
        assert_eq!(processors(&pid), first, "process {pid}");
    }
}

#[test]
fn two_servers_run_side_by_side() {
    let (a, b) = (start(&[]), start(&[]));
    let data = |server: &LocalServer| Session::open(server.url(), "test").value("SHOW data_directory");
    assert_eq!(data(&a), a.folder().join("data").to_string_lossy());
    assert_eq!(data(&b), b.folder().join("data").to_string_lossy());
    assert_ne!(a.folder(), b.folder());
}

#[test]
fn nobody_gets_in_without_the_password() {
    let server = start(&[]);
    let (scheme_and_user, address) = server.url().split_once('@').expect("user and address");
    let password = scheme_and_user.rsplit(':').next().expect("password");
    let wrong = server.url().replace(password, "00000000000000000000000000000000");
    let port = address.split([':', '/']).nth(1).expect("port");
    let socket =
        format!("host={} port={port} user=postgres dbname=postgres", server.folder().to_string_lossy());
    assert!(Session::try_open(&format!("{socket} password={password}"), "test").is_ok());

    let refusal = |target: &str| match Session::try_open(target, "test") {
        Ok(_) => "it let us in".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    for target in [wrong, format!("{socket} password=guess")] {
        assert!(refusal(&target).contains("28P01"), "{}", refusal(&target));
    }
    for target in [format!("postgres://postgres@{address}"), socket] {
        assert!(refusal(&target).contains("password missing"), "{}", refusal(&target));
    }
}

#[test]
fn the_users_settings_stand_above_ours() {
    let server = start(&[("shared_buffers", "32MB"), ("cluster_name", r"it's a \ test")]);
    let session = Session::open(server.url(), "test");
    assert_eq!(session.value("SHOW shared_buffers"), "32MB");
    assert_eq!(session.value("SHOW cluster_name"), r"it's a \ test");
}

#[test]
fn a_wrong_setting_quotes_the_servers_log_and_leaves_nothing() {
    let temporary = temporary();
    let starter = Starter::spawn(temporary.path(), |command| {
        command.env(SETTING, "shared_bufers=1GB");
    });
    let message = starter.outcome().expect_err("no such setting");
    assert!(message.contains("unrecognized configuration parameter \"shared_bufers\""), "{message}");
    assert_eq!(left_in(temporary.path()), [] as [PathBuf; 0]);
}

#[test]
fn a_setting_that_would_hide_the_server_is_refused() {
    let mut options = local_options();
    options.settings.push(("port".into(), "5432".into()));
    let error = runtime().block_on(start_postgres(&options)).err().expect("refused").to_string();
    assert!(error.starts_with("--local-setting port: "), "{error}");
}

#[test]
fn a_folder_without_binaries_is_named() {
    let mut options = local_options();
    options.bindir = Some("/nonexistent".into());
    let error = runtime().block_on(start_postgres(&options)).err().expect("refused").to_string();
    assert!(error.contains("/nonexistent (--local-bindir): no initdb"), "{error}");
}

#[test]
fn a_program_that_is_no_supervisor_is_named() {
    let mut options = local_options();
    options.supervisor = Some("/bin/true".into());
    let error = runtime().block_on(start_postgres(&options)).err().expect("no answer").to_string();
    assert!(error.contains("supervisor") && error.contains("/bin/true"), "{error}");
}

#[test]
fn kill_nine_of_the_starter_leaves_nothing() {
    let temporary = temporary();
    let mut starter = Starter::spawn(temporary.path(), |_| ());
    let server = starter.outcome().expect("it starts");
    // Its server must not need the starter's pipe to be read, nor an idle server.
    let busy = Session::open(&server.url, "busy");
    busy.execute("CREATE TABLE t AS SELECT generate_series(1, 200000) AS i");
    starter.child.kill().expect("SIGKILL");
    starter.child.wait().expect("it is dead");
    wait_until("the server and its folder are gone", REMOVED_WITHIN, || {
        living_in(&server.folder).is_empty() && !lives(server.pid) && left_in(temporary.path()).is_empty()
    });
}

#[test]
fn kill_nine_of_the_supervisor_leaves_nothing_once_the_server_is_dropped() {
    let server = start(&[]);
    let (pid, folder) = (server.pid(), server.folder().to_path_buf());
    kill(parent(pid));
    runtime().block_on(server.stop()).expect("it stops without its supervisor");
    assert!(!lives(pid) && !folder.exists());
    assert_eq!(living_in(&folder), [] as [i32; 0]);
}

#[test]
fn kill_nine_of_the_server_keeps_its_log_until_the_end() {
    let server = start(&[]);
    let busy = Session::open(server.url(), "busy");
    let backend: i32 = busy.value("SELECT pg_backend_pid()").parse().expect("a number");
    // Does not look whether the postmaster lives before it is through.
    let burning = std::thread::spawn(move || {
        let sql = "SELECT count(*) FROM generate_series(1, 3000) a, generate_series(1, 300000) b";
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| busy.execute(sql)));
    });
    let (pid, folder) = (server.pid(), server.folder().to_path_buf());
    wait_until("the backend burns", Duration::from_secs(10), || state(backend) == Some('R'));
    kill(pid);
    wait_until("the postmaster is dead", Duration::from_secs(5), || !lives(pid));
    assert!(server.log_tail().contains("ready to accept connections"));
    runtime().block_on(server.stop()).expect("it stops");
    assert!(!lives(backend) && !folder.exists());
    burning.join().expect("its connection broke");
}

#[test]
fn an_end_in_the_middle_of_the_start_leaves_nothing() {
    let temporary = temporary();
    let mut supervisor = supervisor(temporary.path());
    supervisor.stdin.as_mut().expect("a pipe").write_all(request().as_bytes()).expect("written");
    wait_until("initdb runs", Duration::from_secs(10), || {
        left_in(temporary.path()).iter().any(|folder| folder.join("data").exists())
    });
    let folder = left_in(temporary.path()).pop().expect("a folder");
    drop(supervisor.stdin.take());
    wait_until("the supervisor ends", REMOVED_WITHIN, || {
        supervisor.try_wait().expect("it is ours").is_some()
    });
    assert_eq!(left_in(temporary.path()), [] as [PathBuf; 0]);
    assert_eq!(living_in(&folder), [] as [i32; 0]);
}

#[test]
fn a_termination_of_the_supervisor_removes_the_server() {
    let server = start(&[]);
    let (pid, folder) = (server.pid(), server.folder().to_path_buf());
    let supervisor = Pid::from_raw(parent(pid)).expect("a number above zero");
    kill_process(supervisor, Signal::TERM).expect("it is ours");
    wait_until("the server is gone", REMOVED_WITHIN, || !lives(pid) && !folder.exists());
}

#[test]
fn a_start_removes_what_killed_supervisors_left_and_nothing_else() {
    let temporary = temporary();
    let make = |name: &str, age: Duration| {
        let folder = temporary.path().join(name);
        fs::create_dir(&folder).expect("made");
        let lock = File::create(folder.join("supervisor.lock")).expect("made");
        let at = SystemTime::now() - age;
        File::open(&folder).expect("opened").set_modified(at).expect("it is ours");
        (folder, lock)
    };
    let hour = Duration::from_secs(3600);
    let (abandoned, _) = make("dbdyno-server-abandoned", hour);
    let (young, _) = make("dbdyno-server-young", Duration::ZERO);
    let (foreign, _) = make("other-pg-folder", hour);
    let (held, lock) = make("dbdyno-server-held", hour);
    lock.lock().expect("nobody else has it");

    let starter = Starter::spawn(temporary.path(), |_| ());
    starter.outcome().expect("it starts");
    assert!(!abandoned.exists());
    assert!(young.exists() && foreign.exists() && held.exists());
}

#[test]
fn an_unprivileged_user_with_a_bent_environment_can_start_one() {
    let temporary = temporary();
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o1777)).expect("it is ours");
    let starter = Starter::spawn(temporary.path(), |command| {
        command
            .env("PGDATA", "/nonexistent")
            .env("PGPORT", "1")
            .env("LC_ALL", "xx_XX")
            .env("PGSSLMODE", "require");
        if rustix::process::geteuid().is_root() {
            // Nobody may not be able to get to where the tests were built.
            let copies = ["it", "dbdyno"].map(|name| temporary.path().join(name));
            fs::copy(std::env::current_exe().expect("it runs"), &copies[0]).expect("copied");
            fs::copy(program(), &copies[1]).expect("copied");
            let mut copy = Command::new(&copies[0]);
            std::mem::swap(command, &mut copy);
            for (name, value) in copy.get_envs().filter_map(|(name, value)| Some((name, value?))) {
                command.env(name, value);
            }
            command.args(copy.get_args()).env(PROGRAM, &copies[1]).uid(65534).gid(65534);
        }
    });
    let server = starter.outcome().expect("it starts");
    let owner = fs::metadata(&server.folder).expect("it exists").uid();
    assert_ne!(owner, 0);
    assert_eq!(Session::open(&server.url, "test").value("SELECT 1"), "1");
}

/// Where a starter writes what came of it; its presence makes the test below a starter.
const OUTCOME: &str = "DBDYNO_TEST_OUTCOME";
/// `name=value` for the starter's server.
const SETTING: &str = "DBDYNO_TEST_SETTING";
/// The starter's supervisor.
const PROGRAM: &str = "DBDYNO_TEST_PROGRAM";

/// Run by the others in a process of its own that can be killed; on its own it starts a starter and lets it end in peace.
#[test]
fn starter() {
    let Some(path) = std::env::var_os(OUTCOME).map(PathBuf::from) else {
        let temporary = temporary();
        let mut starter = Starter::spawn(temporary.path(), |_| ());
        let server = starter.outcome().expect("it starts");
        drop(starter.child.stdin.take());
        assert!(starter.child.wait().expect("it ends").success());
        assert!(!lives(server.pid) && !server.folder.exists());
        return;
    };
    let mut options = local_options();
    options.supervisor = std::env::var_os(PROGRAM).map(PathBuf::from);
    if let Ok(setting) = std::env::var(SETTING) {
        let (name, value) = setting.split_once('=').expect("name=value");
        options.settings.push((name.into(), value.into()));
    }
    let started = runtime().block_on(start_postgres(&options));
    let text = match &started {
        Ok(server) => format!("ok\n{}\n{}\n{}", server.pid(), server.folder().display(), server.url()),
        Err(error) => format!("error\n{error}"),
    };
    let unfinished = path.with_extension("part");
    fs::write(&unfinished, text).expect("the folder can be written");
    fs::rename(&unfinished, &path).expect("the folder can be written");
    // Until the test closes the pipe, or kills.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).expect("a pipe");
}

/// A process that starts a server and holds it. Killed when dropped.
struct Starter {
    child: std::process::Child,
    outcome: PathBuf,
}

/// What a starter got.
#[derive(Debug)]
struct Started {
    pid: i32,
    folder: PathBuf,
    url: String,
}

impl Starter {
    /// This test binary again, with `TMPDIR` at the folder.
    fn spawn(temporary: &Path, adapt: impl FnOnce(&mut Command)) -> Self {
        let outcome = temporary.join("outcome");
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command
            .args(["local::starter", "--exact", "--nocapture"])
            .env(OUTCOME, &outcome)
            .env(PROGRAM, program())
            .env("TMPDIR", temporary);
        adapt(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().expect("this binary can be run"), outcome }
    }

    /// Waits for what came of it.
    fn outcome(&self) -> Result<Started, String> {
        wait_until("the starter's outcome", Duration::from_secs(60), || self.outcome.exists());
        let text = fs::read_to_string(&self.outcome).expect("it exists");
        let lines: Vec<&str> = text.lines().collect();
        match lines[..] {
            ["ok", pid, folder, url] => {
                Ok(Started { pid: pid.parse().expect("a number"), folder: folder.into(), url: url.into() })
            }
            _ => Err(text),
        }
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The supervisor works below the test's temporary folder, which is removed next.
        let folder = self.outcome.parent().expect("a folder").to_path_buf();
        for _ in 0..1200 {
            if left_in(&folder).iter().all(|left| living_in(left).is_empty()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn start(settings: &[(&str, &str)]) -> LocalServer {
    let mut options = local_options();
    options.settings.extend(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())));
    runtime().block_on(start_postgres(&options)).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder that the server's user can pass through.
pub fn temporary() -> TempDir {
    let folder = TempDir::with_prefix("dbdyno-test-").expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    folder
}

/// Folders of throwaway servers.
pub fn left_in(temporary: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).expect("it exists").flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains("/dbdyno-server-"))
        .collect()
}

fn supervisor(temporary: &Path) -> std::process::Child {
    Command::new(program())
        .args([SUPERVISE, "postgres"])
        .env("TMPDIR", temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be run")
}

/// What the library writes to the supervisor, for the server that the tests have.
fn request() -> String {
    let bindir = crate::harness::server().bindir().to_string_lossy();
    serde_json::json!({ "bindir": bindir, "settings": [] }).to_string() + "\n"
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).expect("a process id")
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a number above zero"), Signal::KILL).expect("it lives");
}

/// A field of `/proc/PROCESS/stat` after the name: 0 is the state, 1 the parent, 2 the group, 3 the session, 38 the scheduling policy.
/// That of a thread is found under `PID/task/TID`.
pub fn stat(process: impl Display, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit_once(") ")?.1.split(' ').nth(field).map(str::to_owned)
}

fn state(pid: i32) -> Option<char> {
    stat(pid, 0)?.chars().next()
}

fn parent(pid: i32) -> i32 {
    stat(pid, 1).and_then(|text| text.parse().ok()).expect("it runs")
}

fn process_group(pid: i32) -> i32 {
    stat(pid, 2).and_then(|text| text.parse().ok()).expect("it runs")
}

fn session_of(pid: i32) -> i32 {
    stat(pid, 3).and_then(|text| text.parse().ok()).expect("it runs")
}

/// Whether it runs; a dead one that nobody has reaped does not.
fn lives(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Processes whose working folder is the folder or below.
pub fn living_in(folder: &Path) -> Vec<i32> {
    let numbers = fs::read_dir("/proc").expect("Linux").flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let lives_there =
        |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    numbers.filter(lives_there).collect()
}
