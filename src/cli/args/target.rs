//! Where the database is, or which server is started for the command.

use std::path::PathBuf;

use crate::local::Brand;
use crate::units::{CpuList, Dialect};
use clap::{Args, ValueHint};

#[derive(Debug, Args)]
pub(in crate::cli) struct TargetArguments {
    /// The database: a postgres:// or mysql:// URL, `local` for a throwaway PostgreSQL, `local:mariadb` or `local:mysql` for a throwaway
    /// MariaDB or MySQL
    #[arg(
        short,
        long,
        value_name = "TARGET",
        default_value = "local",
        env = "DBDYNO_TARGET",
        hide_env_values = true
    )]
    pub(in crate::cli) target: String,
    #[command(flatten)]
    pub(in crate::cli) local: LocalArguments,
}

impl TargetArguments {
    /// Which server dbdyno starts; nothing where it is to find one.
    pub(in crate::cli) fn local(&self) -> Option<LocalKind> {
        local_of(&self.target)
    }
}

/// Which server dbdyno starts.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct LocalKind {
    pub(in crate::cli) dialect: Dialect,
    /// Of the family of MariaDB and MySQL.
    pub(in crate::cli) brand: Brand,
}

/// Which server a word asks dbdyno to start.
fn local_of(word: &str) -> Option<LocalKind> {
    if ["local", "local:postgres", "local:postgresql"].contains(&word) {
        return Some(LocalKind { dialect: Dialect::Postgresql, brand: Brand::default() });
    }
    let brand = Brand::named(word.strip_prefix("local:")?)?;
    Some(LocalKind { dialect: Dialect::Mysql, brand })
}

/// The same where nothing else will do.
pub(super) fn local_kind(given: &str) -> Result<LocalKind, String> {
    local_of(given).ok_or_else(|| {
        "the demonstration starts a server of its own: `local`, `local:postgres`, `local:mariadb` or `local:mysql`"
            .to_owned()
    })
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LocalArguments {
    /// A setting of the throwaway server, may be repeated: `shared_buffers=1GB`
    #[arg(long = "local-setting", value_name = "NAME=VALUE")]
    pub(in crate::cli) settings: Vec<String>,
    /// Folder with the binaries of the throwaway server (initdb and postgres, mariadbd, or mysqld)
    #[arg(long = "local-bindir", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) bindir: Option<PathBuf>,
    /// Processors that the throwaway server keeps to: `0,2-3`
    #[arg(long, value_name = "CPUS")]
    pub(in crate::cli) server_cpus: Option<CpuList>,
}
