//! Where a throwaway server stands, whatever its kind: its folder, the account that it runs as, and its process.

use std::fmt;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::account::Account;
use super::folder::{self, SERVER_LOG};
use super::processes::{self, KILL_TIMEOUT, QUIT_TIMEOUT};

/// A server that does not answer a question by then does not answer it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two questions to a server that starts.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What a server that answers has to say of itself.
pub(super) struct Ready {
    /// Holds the password.
    pub url: String,
    pub pid: u32,
    pub version: String,
    pub notices: Vec<String>,
}

/// A folder, and what runs in it.
pub(super) struct Ground {
    account: Option<Account>,
    folder: PathBuf,
    /// Held as long as the folder has an owner.
    _lock: File,
    server: Option<Child>,
}

impl Ground {
    /// A folder, and nothing in it.
    pub fn make() -> Result<Self, String> {
        let account = Account::to_step_down_to()?;
        let (folder, lock) = folder::make(account.as_ref())?;
        Ok(Self { account, folder, _lock: lock, server: None })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives a file to the account.
    pub fn hand_over(&self, path: &Path) -> io::Result<()> {
        match &self.account {
            Some(account) => std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// A program of the server, as the account, in the folder, with nothing of the user's environment that could bend it
    /// (`PGDATA`, `MYSQL_HOME`, a locale that is not installed).
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(&self.folder).kill_on_drop(true);
        for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if let Some(account) = &self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    /// The server itself, which the kernel ends by `signal` (`QUIT`, `KILL`) when this process dies, where it can be asked for
    /// that.
    pub fn server_command(&self, program: &Path, signal: &str) -> Command {
        if !dies_with_parent() {
            return self.command(program);
        }
        let mut command = self.command(Path::new("setpriv"));
        command.args(["--pdeathsig", signal, "--"]).arg(program);
        command
    }

    /// Starts a program whose words go to a log.
    pub fn spawn(&self, mut command: Command, log: File) -> Result<Child, String> {
        let described = command.as_std().get_program().to_string_lossy().into_owned();
        let user = self.account.as_ref().map_or("this user", |account| account.name);
        let failed = |error: io::Error| format!("cannot run {described} as {user}: {error}");
        let copy = log.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(copy).stderr(log).spawn().map_err(failed)
    }

    /// Starts the server.
    pub fn start_server(&mut self, command: Command) -> Result<(), String> {
        let log = File::create(self.folder.join(SERVER_LOG))
            .map_err(|error| format!("cannot make the server's log: {error}"))?;
        self.server = Some(self.spawn(command, log)?);
        Ok(())
    }

    /// Whether the server came to its end by itself.
    pub fn server_has_ended(&mut self) -> Result<bool, String> {
        let Some(server) = &mut self.server else { return Ok(true) };
        let ended = server.try_wait().map_err(|error| format!("the server is lost: {error}"))?.is_some();
        if ended {
            self.server = None;
        }
        Ok(ended)
    }

    /// Asks the server for its version until it answers; nothing when it came to its end by itself. `what` names it in the message:
    /// `the local MariaDB`.
    pub async fn version_when_ready<E: fmt::Display>(
        &mut self,
        what: &str,
        limit: Duration,
        version: impl AsyncFn() -> Result<String, E>,
    ) -> Result<Option<String>, String> {
        let begun = Instant::now();
        loop {
            if self.server_has_ended()? {
                return Ok(None);
            }
            // Whoever else took the port may accept and say nothing.
            let why = match tokio::time::timeout(ANSWER_TIMEOUT, version()).await {
                Ok(Ok(version)) => return Ok(Some(version)),
                Ok(Err(why)) => why.to_string(),
                Err(_) => "it accepts a connection and says nothing".to_owned(),
            };
            if begun.elapsed() > limit {
                let (limit, log) = (limit.as_secs(), self.log_tail());
                return Err(format!("{what} did not answer within {limit} s ({why}); its log says\n{log}"));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The server's process, as long as it runs.
    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Child::id)
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        folder::tail(&self.folder.join(SERVER_LOG))
    }

    /// Ends the server in order and waits for it; gives up after a time.
    pub async fn stop_server(&mut self, signal: Signal, patience: Duration) -> Result<(), String> {
        let Some(server) = &mut self.server else { return Ok(()) };
        if let Some(pid) = server.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process(pid, signal);
        }
        match tokio::time::timeout(patience, server.wait()).await {
            Ok(_) => {
                self.server = None;
                Ok(())
            }
            Err(_) => Err(format!("the local server did not shut down within {} s", patience.as_secs())),
        }
    }

    /// Ends what runs, first by `signal`, and removes the folder.
    pub async fn remove(mut self, signal: Signal) -> io::Result<()> {
        if let Some(server) = &mut self.server {
            for (signal, patience) in [(signal, QUIT_TIMEOUT), (Signal::KILL, KILL_TIMEOUT)] {
                let pid = server.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
                // No id: it has ended, and the number may be another's by now.
                let Some(pid) = pid else { break };
                let _ = kill_process(pid, signal);
                if tokio::time::timeout(patience, server.wait()).await.is_ok() {
                    break;
                }
            }
        }
        // What outlives a killed server or a dropped start.
        processes::end_all_in(&self.folder);
        folder::remove(&self.folder)
    }
}

/// 128 bits of the operating system's randomness, in letters that a URL can hold.
pub(super) fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether util-linux can make the kernel tell the server when the supervisor dies. (Others' `setpriv` cannot.)
fn dies_with_parent() -> bool {
    std::process::Command::new("setpriv")
        .args(["--pdeathsig", "QUIT", "--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_passwords_differ_and_need_no_escape_in_a_url() {
        let (a, b) = (password(), password());
        assert_ne!(a, b);
        assert_eq!(a.len(), 32);
        assert!(a.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
