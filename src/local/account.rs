//! Which user the server runs as: PostgreSQL refuses root, so root must step down to somebody.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The first that exists is taken. A number without an entry in the user database would not do: initdb looks it up.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// A user without rights that root lends to the server.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub name: &'static str,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// Whom to step down to; none when the caller is not root and the server simply runs as the caller.
    pub fn to_step_down_to() -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        CANDIDATES.into_iter().find_map(Self::look_up).map(Some).ok_or_else(|| {
            "PostgreSQL does not run as root, and neither user `postgres` nor `nobody` exists to run it instead".into()
        })
    }

    /// Asks `id`, which knows every user database of the machine; the safe part of std knows none.
    fn look_up(name: &'static str) -> Option<Self> {
        let number = |flag| -> Option<u32> {
            let output = Command::new("id").args([flag, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some(Self { name, uid: number("-u")?, gid: number("-g")? })
    }

    /// Whether it can pass through `folder` and all folders above.
    pub fn can_traverse(&self, folder: &Path) -> bool {
        folder.ancestors().all(|step| {
            step.metadata().is_ok_and(|of| {
                let bit = if of.uid() == self.uid {
                    0o100
                } else if of.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                of.is_dir() && of.mode() & bit != 0
            })
        })
    }
}
