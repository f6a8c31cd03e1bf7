//! Finds the server's binaries: where the user says, else where the usual packages put them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::LocalError;

/// The environment's way to name the folder.
const BINDIR_VARIABLE: &str = "DBDYNO_PG_BINDIR";
/// Older ones lack views and settings that the probes need.
const OLDEST_MAJOR: u32 = 14;
/// Where packages put one folder for each version, and what lies between that folder and the binaries.
const VERSIONED: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", ""),         // Debian and Ubuntu: 15/bin
    ("/usr", "pgsql-"),                  // PGDG on Red Hat and its kin: pgsql-15/bin
    ("/opt/homebrew/opt", "postgresql"), // Homebrew on Apple silicon: postgresql@15/bin
    ("/usr/local/opt", "postgresql"),    // Homebrew on Intel
];

/// The folder that holds `initdb` and `postgres`. What the user names is taken or refused, never passed over.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, LocalError> {
    let named = named.map(|folder| ("--local-bindir", folder.to_path_buf())).or_else(|| {
        let folder = std::env::var_os(BINDIR_VARIABLE).filter(|value| !value.is_empty())?;
        Some((BINDIR_VARIABLE, PathBuf::from(folder)))
    });
    match named {
        Some(named) => choose(vec![named]),
        None => choose(usual_places(std::env::var_os("PATH").as_deref())),
    }
}

/// The first place that will do.
fn choose(places: Vec<(&'static str, PathBuf)>) -> Result<PathBuf, LocalError> {
    let mut looked_at = Vec::new();
    for (origin, folder) in places {
        match refusal(&folder) {
            None => return Ok(folder),
            Some(why) => looked_at.push(format!("  {} ({origin}): {why}", folder.display())),
        }
    }
    looked_at.push("  pg_config, /usr/lib/postgresql, /usr/pgsql-*, Homebrew, PATH: no other".into());
    Err(LocalError::NotFound { looked_at: looked_at.join("\n") })
}

/// Why the folder will not do, if so.
fn refusal(folder: &Path) -> Option<String> {
    if let Some(absent) = ["initdb", "postgres"].into_iter().find(|name| !folder.join(name).is_file()) {
        return Some(format!("no {absent}"));
    }
    let output = match Command::new(folder.join("postgres")).arg("--version").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Some(format!("cannot run postgres: {error}")),
    };
    match major_version(&output) {
        Some(major) if major >= OLDEST_MAJOR => None,
        _ => Some(format!("`postgres --version` says `{output}`")),
    }
}

/// 15 of `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn major_version(output: &str) -> Option<u32> {
    let number = output.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// All places worth a look, best first. Those that do not exist at all are left out.
fn usual_places(path: Option<&OsStr>) -> Vec<(&'static str, PathBuf)> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output()
        && output.status.success()
    {
        places.push(("pg_config", PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())));
    }
    for (parent, prefix) in VERSIONED {
        places.extend(versions(Path::new(parent), prefix).into_iter().map(|folder| (parent, folder)));
    }
    let on_path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let with_server = |folder: &PathBuf| folder.join("postgres").is_file();
    places.extend(on_path.into_iter().filter(with_server).map(|folder| ("PATH", folder)));
    places
}

/// `PARENT/PREFIX*/bin`, highest version first; a folder without a number is the lowest.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.trim_start_matches('@');
            let bin = entry.path().join("bin");
            (version.is_empty() || version.starts_with(|c: char| c.is_ascii_digit()))
                .then(|| (version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0), bin))
        })
        .filter(|(_, bin)| bin.is_dir())
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highest_version_comes_first_by_number_not_by_letter() {
        let root = tempfile::tempdir().expect("a folder");
        for version in ["9.6", "15", "100", "17", "not-a-version"] {
            fs::create_dir_all(root.path().join(version).join("bin")).expect("made");
        }
        let found = versions(root.path(), "");
        let names: Vec<_> = found.iter().map(|bin| bin.strip_prefix(root.path()).expect("below")).collect();
        assert_eq!(names, ["100/bin", "17/bin", "15/bin", "9.6/bin"].map(Path::new));
    }

    #[test]
    fn homebrew_names_with_and_without_version() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["postgresql", "postgresql@14", "postgresql@17", "postgresql-client"] {
            fs::create_dir_all(root.path().join(name).join("bin")).expect("made");
        }
        let found = versions(root.path(), "postgresql");
        let names: Vec<_> = found.iter().map(|bin| bin.strip_prefix(root.path()).expect("below")).collect();
        assert_eq!(names, ["postgresql@17/bin", "postgresql@14/bin", "postgresql/bin"].map(Path::new));
    }

    #[test]
    fn versions_are_read_from_what_postgres_says() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_version("postgres (EnterpriseDB) 15.1"), None);
    }

    #[test]
    fn a_named_folder_without_binaries_is_refused_with_its_name() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("initdb"), "").expect("written");
        let error =
            choose(vec![("--local-bindir", root.path().to_path_buf())]).expect_err("refused").to_string();
        assert!(
            error.contains(&format!("{} (--local-bindir): no postgres", root.path().display())),
            "{error}"
        );
        assert!(error.contains("make setup"), "{error}");
    }
}
