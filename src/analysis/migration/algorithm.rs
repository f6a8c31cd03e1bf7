//! By which algorithm, and under which lock, a change of a table was carried out: what the server accepted on an empty copy of the table,
//! held against what was seen of the change itself. Where the two differ, what was seen counts.

use crate::model::DdlAlgorithm;
use crate::record::migration::{DdlTry, ForeseenAlgorithm};

/// Those that build no table anew.
const KEEP_THE_TABLE: [&str; 2] = ["INSTANT", "NOCOPY"];
/// The one that copies row by row.
const COPY: &str = "COPY";

/// Of one try; nothing where the server has no choice.
pub(super) fn used(one: &DdlTry) -> Option<DdlAlgorithm> {
    let foreseen = one.foreseen.as_ref()?;
    let copied = one.affected_rows.filter(|rows| *rows > 0 && one.error.is_none());
    let rows = copied.map(|rows| format!("{rows} rows were copied"));
    let has_new_table = !one.rewritten.is_empty();
    let (algorithm, lock, evidence) = match foreseen {
        // What failed was carried out in no way.
        ForeseenAlgorithm::Unknown(_) if one.error.is_some() => return None,
        ForeseenAlgorithm::Unknown(why) => match rows {
            Some(rows) => (Some(COPY), None, format!("{rows}; its lock is not known: {why}")),
            None => (None, None, why.clone()),
        },
        ForeseenAlgorithm::Accepted { algorithm, lock } => {
            let agrees = "the lightest that an empty copy of the table took".to_owned();
            let accepted = format!("an empty copy of the table took {algorithm} with LOCK={lock}");
            match rows {
                Some(rows) if algorithm == COPY => (Some(COPY), Some(lock), format!("{agrees}; {rows}")),
                Some(rows) => (Some(COPY), None, format!("{rows}, although {accepted}")),
                None if has_new_table && KEEP_THE_TABLE.contains(&algorithm.as_str()) => {
                    (Some("INPLACE"), None, format!("the table was built anew, although {accepted}"))
                }
                None => (Some(algorithm.as_str()), Some(lock), agrees),
            }
        }
    };
    Some(DdlAlgorithm { algorithm: algorithm.map(str::to_owned), lock: lock.cloned(), evidence })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{BackendId, Span, Stamp};

    fn one(foreseen: Option<ForeseenAlgorithm>, affected_rows: u64, rewritten: &[&str]) -> DdlTry {
        DdlTry {
            statement: 0,
            number: 1,
            backend: BackendId(1),
            span: Span { from: Stamp(0), to: Stamp(1) },
            released_at: Stamp(1),
            committed: true,
            error: None,
            waits: Vec::new(),
            held: Vec::new(),
            rewritten: rewritten.iter().map(|name| (*name).to_owned()).collect(),
            rebuilt: Vec::new(),
            scanned: None,
            invalid_indexes: Vec::new(),
            wal_bytes: None,
            temp_bytes: None,
            server_wal_bytes: None,
            affected_rows: Some(affected_rows),
            foreseen,
            implicit_commit: false,
        }
    }

    fn accepted(algorithm: &str) -> ForeseenAlgorithm {
        ForeseenAlgorithm::Accepted { algorithm: algorithm.to_owned(), lock: "NONE".to_owned() }
    }

    #[test]
    fn what_was_seen_counts_more_than_what_was_foreseen() {
        let told = |one: DdlTry| used(&one).map(|of| (of.algorithm, of.lock));
        let known =
            |algorithm: &str, lock: Option<&str>| Some((Some(algorithm.to_owned()), lock.map(str::to_owned)));
        assert_eq!(told(one(Some(accepted("INSTANT")), 0, &[])), known("INSTANT", Some("NONE")));
        assert_eq!(told(one(Some(accepted("COPY")), 9, &["t"])), known("COPY", Some("NONE")));
        assert_eq!(told(one(Some(accepted("INPLACE")), 0, &["t"])), known("INPLACE", Some("NONE")));
        assert_eq!(told(one(Some(accepted("INSTANT")), 9, &["t"])), known("COPY", None));
        assert_eq!(told(one(Some(accepted("NOCOPY")), 0, &["t"])), known("INPLACE", None));
        let unknown = || Some(ForeseenAlgorithm::Unknown("another table".to_owned()));
        assert_eq!(told(one(unknown(), 9, &[])), known("COPY", None));
        assert_eq!(told(one(unknown(), 0, &[])), Some((None, None)));
        assert_eq!(used(&one(None, 9, &[])), None, "an UPDATE");
    }
}
