//! The folder of a throwaway server: where it is made, what it is called, how it goes, and what earlier ones left.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::Account;
use super::processes;

const PREFIX: &str = "dbdyno-server-";
/// The supervisor holds its lock as long as it lives; the kernel lets go of it, whatever happens.
const LOCK: &str = "supervisor.lock";
/// What the server says, in the folder.
pub(super) const SERVER_LOG: &str = "server.log";

/// Younger folders are left alone: their supervisor may not have come to take the lock.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);
/// Enough for the reason of a failed start.
const TAIL_LINES: usize = 40;
const TAIL_BYTES: u64 = 16 * 1024;

/// A new private folder, locked by this process and owned by the account. It is not removed on drop.
pub(super) fn make(account: Option<&Account>) -> Result<(PathBuf, File), String> {
    let parent = parent(account);
    remove_abandoned(&parent, account);
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .map_err(|error| format!("cannot make a folder under {} (set TMPDIR): {error}", parent.display()))?
        .keep();
    let prepare = || -> io::Result<File> {
        let lock = File::create(folder.join(LOCK))?;
        lock.lock()?;
        if let Some(account) = account {
            std::os::unix::fs::chown(&folder, Some(account.uid), Some(account.gid))?;
        }
        Ok(lock)
    };
    match prepare() {
        Ok(lock) => Ok((folder, lock)),
        Err(error) => {
            let message = format!("cannot prepare the folder {}: {error}", folder.display());
            let _ = fs::remove_dir_all(&folder);
            Err(message)
        }
    }
}

/// `TMPDIR`, unless the account cannot get there (root's `TMPDIR` is often below its home): then the machine's common one.
fn parent(account: Option<&Account>) -> PathBuf {
    let common = [PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let asked = std::env::temp_dir();
    let asked = asked.canonicalize().unwrap_or(asked);
    match account {
        Some(account) if !account.can_traverse(&asked) => {
            common.into_iter().find(|folder| account.can_traverse(folder)).unwrap_or(asked)
        }
        _ => asked,
    }
}

/// Removes a folder. A dying server may still write while we remove, so that one try is not enough.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if tries < 100 => std::thread::sleep(Duration::from_millis(20)),
            done => return done,
        }
        tries += 1;
    }
}

/// Removes what supervisors left that were killed: folders of ours, old enough, that nobody holds and nobody lives in.
fn remove_abandoned(parent: &Path, account: Option<&Account>) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let ours = [Some(rustix::process::geteuid().as_raw()), account.map(|account| account.uid)];
    for entry in entries.flatten() {
        let named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Not followed when it is a link: in a common folder anybody can plant one.
        let Ok(about) = entry.metadata() else { continue };
        if !named_so || !about.is_dir() || !ours.contains(&Some(about.uid())) {
            continue;
        }
        let old = about.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED_AFTER));
        let folder = entry.path();
        let held = File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_err());
        if old && !held && !processes::postmaster_lives(&folder) && processes::living_in(&folder).is_empty() {
            // It is litter of another run: this one does not depend on it.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// The last lines of a log file; empty when there is none.
pub(super) fn tail(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
