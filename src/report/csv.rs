//! Tables of a report as CSV (RFC 4180): a header line, then a row each, so that spreadsheets and data frames read them. A figure
//! that was not measured is an empty field, a time is in whole microseconds, as in the JSON form.

use crate::model::{LockEpisodeInfo, Quantiles, Report, Stage, WaitShare};

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// By second.
    Intervals,
    /// By transaction and stage.
    Transactions,
    /// By statement and stage.
    Statements,
    /// Waits for locks, alike ones together.
    Locks,
    /// What sessions waited for.
    Waits,
}

impl Table {
    /// All of them, in the order in which a person would look.
    pub const ALL: [Self; 5] =
        [Self::Intervals, Self::Transactions, Self::Statements, Self::Locks, Self::Waits];

    /// Its name, which is that of its file without `.csv`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intervals => "intervals",
            Self::Transactions => "transactions",
            Self::Statements => "statements",
            Self::Locks => "locks",
            Self::Waits => "waits",
        }
    }
}

/// One table of a report, with a line end after each row.
#[must_use]
pub fn csv(report: &Report, table: Table) -> String {
    let mut sheet = Sheet::default();
    match table {
        Table::Intervals => intervals(&mut sheet, report),
        Table::Transactions => transactions(&mut sheet, report),
        Table::Statements => statements(&mut sheet, report),
        Table::Locks => locks(&mut sheet, report),
        Table::Waits => waits(&mut sheet, report),
    }
    sheet.text
}

#[derive(Default)]
struct Sheet {
    text: String,
}

impl Sheet {
    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| field(&cell)).collect();
        self.text.push_str(&cells.join(","));
        self.text.push_str("\r\n");
    }

    fn head(&mut self, names: &[&str]) {
        self.row(names.iter().map(|name| (*name).to_owned()));
    }
}

/// A field, in quotes where it must be. A text that a spreadsheet would take for a formula is kept one by an apostrophe before it.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t']) && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

const QUANTILES: [&str; 9] = ["count", "mean", "p50", "p90", "p95", "p99", "p99_9", "p99_99", "max"];

/// Names of the columns of a distribution: `response_p99_us`.
fn names_of(what: &str) -> Vec<String> {
    QUANTILES
        .iter()
        .map(|name| if *name == "count" { format!("{what}_count") } else { format!("{what}_{name}_us") })
        .collect()
}

fn cells_of(times: &Quantiles) -> Vec<String> {
    vec![
        times.count.to_string(),
        optional(times.mean),
        optional(times.p50),
        optional(times.p90),
        optional(times.p95),
        optional(times.p99),
        optional(times.p99_9),
        optional(times.p99_99),
        optional(times.max),
    ]
}

fn intervals(sheet: &mut Sheet, report: &Report) {
    sheet.head(&[
        "stage",
        "measured",
        "t_s",
        "length_s",
        "drain",
        "per_s",
        "mean_us",
        "p50_us",
        "p99_us",
        "max_us",
        "errors",
        "busy",
        "waiting",
        "pool_wait_mean_us",
        "pool_wait_max_us",
        "in_flight",
    ]);
    for (stage, second) in
        report.stages.iter().flat_map(|stage| stage.intervals.iter().map(move |second| (stage, second)))
    {
        sheet.row([
            stage.name.clone(),
            stage.measured.to_string(),
            second.t_s.to_string(),
            second.length_s.to_string(),
            second.drain.to_string(),
            second.per_s.to_string(),
            optional(second.mean_us),
            optional(second.p50_us),
            optional(second.p99_us),
            optional(second.max_us),
            second.errors.to_string(),
            second.busy.to_string(),
            second.waiting.to_string(),
            optional(second.pool_wait_mean_us),
            optional(second.pool_wait_max_us),
            second.in_flight.to_string(),
        ]);
    }
}

fn transactions(sheet: &mut Sheet, report: &Report) {
    let mut head: Vec<String> =
        ["stage", "measured", "transaction", "count", "ok", "per_s"].map(str::to_owned).to_vec();
    for what in ["response", "service", "pool_wait", "lag", "hold", "commit"] {
        head.extend(names_of(what));
    }
    head.push("errors".to_owned());
    sheet.row(head);
    for (stage, of) in
        report.stages.iter().flat_map(|stage| stage.transactions.iter().map(move |of| (stage, of)))
    {
        let mut row = vec![
            stage.name.clone(),
            stage.measured.to_string(),
            of.name.clone(),
            of.count.to_string(),
            of.ok.to_string(),
            of.per_s.to_string(),
        ];
        for times in
            [&of.response_us, &of.service_us, &of.pool_wait_us, &of.lag_us, &of.hold_us, &of.commit_us]
        {
            row.extend(cells_of(times));
        }
        row.push(
            of.errors.iter().map(|(code, count)| format!("{code}={count}")).collect::<Vec<_>>().join(" "),
        );
        sheet.row(row);
    }
}

fn statements(sheet: &mut Sheet, report: &Report) {
    let mut head: Vec<String> =
        ["stage", "measured", "transaction", "statement", "kind", "count", "errors", "rows", "empty"]
            .map(str::to_owned)
            .to_vec();
    head.extend(names_of("execute"));
    head.extend(
        [
            "server_calls",
            "server_exec_us_mean",
            "server_plan_us_mean",
            "shared_blks_hit",
            "shared_blks_read",
            "shared_blks_dirtied",
            "temp_blks_written",
            "wal_records",
            "wal_bytes",
            "top_wait",
            "top_wait_share",
            "sql",
        ]
        .map(str::to_owned),
    );
    sheet.row(head);
    for (stage, of) in
        report.stages.iter().flat_map(|stage| stage.statements.iter().map(move |of| (stage, of)))
    {
        let mut row = vec![
            stage.name.clone(),
            stage.measured.to_string(),
            of.transaction.clone(),
            of.name.clone(),
            of.kind.clone(),
            of.count.to_string(),
            of.errors.to_string(),
            of.rows.to_string(),
            of.empty.to_string(),
        ];
        row.extend(cells_of(&of.execute_us));
        let server = of.server.as_ref();
        row.extend([
            optional(server.map(|server| server.calls)),
            optional(server.map(|server| server.exec_us_mean)),
            optional(server.map(|server| server.plan_us_mean)),
            optional(server.map(|server| server.shared_blks_hit)),
            optional(server.map(|server| server.shared_blks_read)),
            optional(server.map(|server| server.shared_blks_dirtied)),
            optional(server.map(|server| server.temp_blks_written)),
            optional(server.map(|server| server.wal_records)),
            optional(server.map(|server| server.wal_bytes)),
        ]);
        let top = of.waits.first();
        row.extend([
            optional(top.map(|wait| &wait.event)),
            optional(top.map(|wait| wait.share)),
            of.sql.clone(),
        ]);
        sheet.row(row);
    }
}

fn locks(sheet: &mut Sheet, report: &Report) {
    sheet.head(&[
        "stage",
        "measured",
        "waiter",
        "direct_blockers",
        "root",
        "root_state",
        "mode",
        "lock_type",
        "relation",
        "count",
        "wait_us_total",
        "wait_us_max",
        "client_share",
    ]);
    let of = |(stage, one): (&Stage, &LockEpisodeInfo)| {
        [
            stage.name.clone(),
            stage.measured.to_string(),
            one.waiter.clone(),
            one.direct_blockers.join(" "),
            one.root.clone(),
            one.root_state.clone(),
            one.mode.clone(),
            one.lock_type.clone(),
            optional(one.relation.as_ref()),
            one.count.to_string(),
            one.wait_us_total.to_string(),
            one.wait_us_max.to_string(),
            optional(one.client_share),
        ]
    };
    for one in report.stages.iter().flat_map(|stage| stage.locks.episodes.iter().map(move |one| (stage, one)))
    {
        sheet.row(of(one));
    }
}

fn waits(sheet: &mut Sheet, report: &Report) {
    sheet.head(&["stage", "measured", "statement", "event", "count", "share", "sessions_mean"]);
    let mut put = |stage: &Stage, statement: &str, wait: &WaitShare| {
        sheet.row([
            stage.name.clone(),
            stage.measured.to_string(),
            statement.to_owned(),
            wait.event.clone(),
            wait.count.to_string(),
            wait.share.to_string(),
            wait.sessions_mean.to_string(),
        ]);
    };
    for stage in &report.stages {
        for wait in &stage.waits {
            put(stage, "", wait);
        }
        for of in &stage.statements {
            let name = format!("{}.{}", of.transaction, of.name);
            of.waits.iter().for_each(|wait| put(stage, &name, wait));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, csv, field};
    use crate::report::fixture;

    /// Rows and fields, read as RFC 4180 says.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let mut quoted = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted => assert_eq!(characters.peek(), Some(&'\n'), "a line ends in CR LF"),
                '\n' if !quoted => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                character => cell.push(character),
            }
        }
        assert!(!quoted && row.is_empty() && cell.is_empty(), "the last line has an end");
        rows
    }

    #[test]
    fn every_table_of_every_report_is_a_rectangle() {
        for (name, report) in fixture::all() {
            for table in Table::ALL {
                let rows = read(&csv(&report, table));
                let width = rows[0].len();
                assert!(rows.iter().all(|row| row.len() == width), "{name}: {}", table.as_str());
                let named: std::collections::BTreeSet<_> = rows[0].iter().collect();
                assert_eq!(named.len(), width, "each column has a name of its own");
            }
        }
    }

    #[test]
    fn a_table_holds_what_the_report_does() {
        let report = fixture::overloaded();
        let rows = read(&csv(&report, Table::Intervals));
        assert_eq!(rows.len() - 1, report.stages.iter().map(|stage| stage.intervals.len()).sum::<usize>());
        let at = |table: Table, column: &str| {
            let rows = read(&csv(&report, table));
            let index = rows[0].iter().position(|name| name == column).unwrap_or_else(|| panic!("{column}"));
            rows[1..].iter().map(|row| row[index].clone()).collect::<Vec<_>>()
        };
        let waits: u64 =
            at(Table::Locks, "wait_us_total").iter().map(|us| us.parse::<u64>().expect("a number")).sum();
        let episodes = report.stages.iter().flat_map(|stage| &stage.locks.episodes);
        assert_eq!(waits, episodes.map(|one| one.wait_us_total).sum::<u64>());
        let calls: u64 =
            at(Table::Statements, "count").iter().map(|count| count.parse::<u64>().expect("a number")).sum();
        assert_eq!(
            calls,
            report.stages.iter().flat_map(|stage| &stage.statements).map(|of| of.count).sum::<u64>()
        );
        assert!(at(Table::Transactions, "errors").contains(&"08006=2 40P01=21 pool_timeout=389".to_owned()));
    }

    #[test]
    fn a_name_is_never_a_formula_and_breaks_no_row() {
        assert_eq!(field("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(field("-3.5"), "-3.5", "a number stays one");
        assert_eq!(read(&format!("{}\r\n", field("a,\"b\"\r\nc"))), [["a,\"b\"\r\nc"]]);
    }
}
