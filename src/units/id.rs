//! Ids are indexes with a type, so that a statement is never looked up where a transaction is meant.

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The id as an index into the list that it numbers.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of position `index`.
            ///
            /// # Panics
            /// When the list has more than 2³² entries, which no workload has.
            #[must_use]
            pub fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).expect("a list of ids holds fewer than 2^32 entries"))
            }
        }
    };
}

index!(
    /// One statement *in one transaction*: the same SQL used by two transactions has two ids, since its latency differs.
    StatementId
);
index!(
    /// One kind of transaction of the workload.
    TransactionId
);
index!(
    /// One value of a transaction's frame.
    SlotId
);
index!(
    /// One stage of a run.
    StageId
);
index!(
    /// One simulated application process with a pool of its own.
    InstanceId
);
index!(
    /// One closed-loop user, or one runner of open-loop arrivals, within its instance.
    ClientId
);
index!(
    /// One thread of the generator.
    WorkerId
);

/// The server's number for one connection: the process id on PostgreSQL, the thread id on MariaDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BackendId(pub i64);

/// The name of one run: when it began and a part that tells runs of one second apart, in an order that sorts by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
