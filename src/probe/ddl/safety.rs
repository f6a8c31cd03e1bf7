//! Whether anybody else depends on a server: replicas that would repeat every change, and clients that would wait behind it.

use crate::db::Client;
use crate::probe::{mysql, postgres};

/// Who else is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Company {
    /// Name of the database.
    pub database: String,
    /// Servers that repeat every change of this one.
    pub replicas: u64,
    /// Clients in this database that are not dbdyno's: application and user.
    pub clients: Vec<String>,
    /// Why others may be there who are not seen; absent where all are.
    pub hidden: Option<String>,
}

/// Asks who else is there.
pub async fn company(client: &Client) -> Result<Company, String> {
    match client {
        Client::Postgres(client) => postgres::ddl::company(client).await,
        Client::MySql(client) => mysql::ddl::company(client).await,
    }
}
