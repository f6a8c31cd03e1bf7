//! The arguments of a pooler between the measured sessions and the server.

use clap::Args;

#[derive(Debug, Args)]
pub(in super::super) struct PoolerArguments {
    /// The measured sessions go through a pooler, all else to the target itself: its URL; or `pgbouncer` (transaction mode) or
    /// `pgbouncer:session` for a throwaway PgBouncer in front of a throwaway server
    #[arg(long, value_name = "URL|pgbouncer", env = "DBDYNO_POOLER", hide_env_values = true)]
    pub(in super::super) pooler: Option<String>,
    /// The admin console of the PgBouncer at --pooler: postgres://ADMIN@HOST:PORT/pgbouncer
    #[arg(long, value_name = "URL", env = "DBDYNO_POOLER_ADMIN", hide_env_values = true)]
    pub(in super::super) pooler_admin: Option<String>,
    /// Server connections of a throwaway PgBouncer [default: 20; in session mode as many as sessions]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(in super::super) pooler_pool: Option<u32>,
}
