//! Sample logs as the tests read them.

use std::path::Path;

/// The columns of every log, in their order.
const COLUMNS: &str = "stage,transaction,instance,client,number,tries,outcome,code,scheduled_at_ns,acquire_begun_at_ns,\
                       acquired_at_ns,finished_at_ns,released_at_ns,pool_wait_ns";

/// One line of a sample log.
#[derive(Clone, Debug)]
pub struct Row {
    pub stage: String,
    pub transaction: String,
    pub client: Option<u64>,
    pub number: u64,
    pub tries: u64,
    pub outcome: String,
    pub code: String,
    pub scheduled_at_ns: Option<u64>,
    pub acquire_begun_at_ns: Option<u64>,
    pub acquired_at_ns: Option<u64>,
    pub finished_at_ns: u64,
    pub released_at_ns: Option<u64>,
    pub pool_wait_ns: u64,
    /// What was wished beside the stamps.
    pub values: Vec<String>,
}

impl Row {
    /// From the planned start to the end.
    pub fn response_ns(&self) -> u64 {
        self.finished_at_ns - self.scheduled_at_ns.expect("an open loop plans")
    }

    /// When it asked for a connection, how long it had one, and how much of that until the last answer.
    pub fn at_hold_service(&self) -> (u64, u64, u64) {
        let known = |at: Option<u64>| at.expect("it had a connection");
        let acquired_at = known(self.acquired_at_ns);
        let hold = known(self.released_at_ns) - acquired_at;
        (known(self.acquire_begun_at_ns), hold, self.finished_at_ns - acquired_at)
    }
}

/// Reads a log with these wished values, none of which holds a comma.
pub fn read(path: &Path, values: &[&str]) -> Vec<Row> {
    let text = std::fs::read_to_string(path).expect("a sample log");
    let mut lines = text.lines();
    let mut columns = vec![COLUMNS];
    columns.extend_from_slice(values);
    assert_eq!(lines.next(), Some(columns.join(",").as_str()));
    lines.map(|line| row(line, values.len())).collect()
}

fn row(line: &str, values: usize) -> Row {
    let fields: Vec<&str> = line.split(',').collect();
    assert_eq!(fields.len(), 14 + values, "{line}");
    let optional = |at: usize| match fields[at] {
        "" => None,
        number => Some(number.parse().unwrap_or_else(|_| panic!("not a number in {line}"))),
    };
    let number = |at: usize| optional(at).unwrap_or_else(|| panic!("no number in {line}"));
    Row {
        stage: fields[0].to_owned(),
        transaction: fields[1].to_owned(),
        client: optional(3),
        number: number(4),
        tries: number(5),
        outcome: fields[6].to_owned(),
        code: fields[7].to_owned(),
        scheduled_at_ns: optional(8),
        acquire_begun_at_ns: optional(9),
        acquired_at_ns: optional(10),
        finished_at_ns: number(11),
        released_at_ns: optional(12),
        pool_wait_ns: number(13),
        values: fields[14..].iter().map(|value| (*value).to_owned()).collect(),
    }
}
