//! pgbench's scripts, run unchanged, beside pgbench itself: the same values, the same kind of contents of the tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use dbdyno::generate::Key;
use dbdyno::model::Report;
use dbdyno::units::{Protocol, Seed};
use dbdyno::workload::Work;
use dbdyno::workload::pgbench::{
    Choice, Chosen, ClientFacts, Operation, Scope, Script, ScriptSource, Variables, load,
};

use crate::harness::{Database, dbdyno, own_environment, server};
use crate::place::{Measured, assert_checks, measured};

/// pgbench on a database, with the password in its environment.
fn pgbench(database: &Database) -> Command {
    let config: tokio_postgres::Config = database.url().parse().expect("a URL");
    let mut command = Command::new(server().bindir().join("pgbench"));
    own_environment(&mut command);
    let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
    command
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", config.get_ports()[0].to_string())
        .env("PGUSER", config.get_user().expect("a user"))
        .env("PGPASSWORD", password)
        .env("PGDATABASE", database.name())
        .env("LC_ALL", "C");
    command
}

/// A database with pgbench's tables at scale 1, made by pgbench.
fn tables() -> Database {
    Database::from_template("pgbench", |database| {
        let made = pgbench(database).args(["-i", "-q", "-n"]).output().expect("pgbench is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    })
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// `dbdyno run WORDS --pgbench SCRIPT -t URL`, with what it said.
    fn run(&self, url: &str, words: &str, scripts: &[&Path]) -> Measured {
        let mut command = dbdyno();
        command.env("DBDYNO_RUNS_DIR", self.0.path().join("runs")).args(["run", "--json", "-", "-t", url]);
        command.args(words.split_whitespace());
        for script in scripts {
            command.arg("--pgbench").arg(script);
        }
        Measured::from(&command.output().expect("the program can be started"))
    }

    fn report(&self, url: &str, words: &str, scripts: &[&Path]) -> Report {
        let ended = self.run(url, words, scripts);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        ended.report()
    }
}

/// What `debug()` of each `\set` of the script would print.
fn debugged(script: &Path) -> Vec<String> {
    let choice = Choice {
        scripts: vec![Chosen { source: ScriptSource::File(script.to_owned()), weight: 1 }],
        defines: vec![("default_seed".to_owned(), "5432".to_owned()), ("text".to_owned(), "0012".to_owned())],
        protocol: Protocol::Simple,
        max_tries: 1,
        with_tables: false,
    };
    let workload = load(&choice).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let facts = ClientFacts { client: 0, default_seed: 0, random_seed: 42 };
    let mut variables = Variables::new(&workload.variables, facts);
    let mut draws = Key::root(Seed(1)).at(0, 0);
    let Work::Script(script) = &workload.transactions[0].work else { panic!("a script") };
    let Script { operations } = &**script;
    let mut values = Vec::new();
    for operation in operations {
        let Operation::Set { variable, expression } = operation else { panic!("{operation:?}") };
        let scope = &mut Scope { variables: &variables, draws: &mut draws };
        let value = expression.evaluate(scope).unwrap_or_else(|fault| panic!("{expression:?}: {fault}"));
        values.push(value.to_string());
        variables.set(*variable, value);
    }
    values
}

/// Every function that draws nothing, every operator, every precedence that matters; hashes and permutations over ranges of
/// values, sizes and seeds.
fn expressions() -> Vec<String> {
    let fixed = [
        "1 + 2 * 3 - 4 / 2 % 3",
        "- 7 / 2",
        "-7 % 3",
        "7 % -3",
        "-7.5 / 2",
        "2 - -3",
        "1e10 * 1e10",
        "1.0 / 3",
        "2.0 / 3 * 1e-7",
        "1e15 + 0.5",
        "1e14 + 0.25",
        "123456789 * 1000.0",
        "0.1 + 0.2",
        "-0.0",
        "1e300 * 1e10",
        "-1e300 * 1e10",
        "12.5e-20",
        "1 < 2 and 2 <= 2 or 3 > 4",
        "not 1 = 2",
        "not true and false",
        "1 + 1 = 2 is true",
        "null is null and not null is not null",
        "1 <> 2 is false",
        "null = 1",
        "null or true",
        "false and null",
        "~5",
        "~5 + 1",
        "6 & 3 | 8 # 1",
        "1 << 10 >> 3",
        "-1 >> 60",
        "5 & 2.6",
        "case when null then 1 when 2 > 1 then 2.5 else 3 end",
        "case when false then 1 end",
        "abs(-3)",
        "abs(-2.25)",
        "int(2.5) + int(3.5) + int(-2.5)",
        "int(1e18)",
        "double(3)",
        "least(3, 1, 2)",
        "greatest(3, 1.5, 2)",
        "least(1, null)",
        "mod(17, 5)",
        "mod(17.4, 5)",
        "sqrt(2)",
        "ln(2)",
        "exp(0.5)",
        "pow(2, 0.5)",
        "power(-2, 3)",
        "pi()",
        "pow(10, 20)",
        "pow(10, -5)",
        "debug(1) + debug(2.5)",
        "-9223372036854775808",
        "9223372036854775807 - 1",
        ":text",
        ":text + 1",
        ":client_id",
        ":scale * 10",
        "hash(7)",
        "hash_murmur2(7) = hash(7)",
        "hash_fnv1a(7)",
        "permute(7, 1000)",
        "random(3, 3)",
        "random_zipfian(4, 4, 1.5)",
        "random_gaussian(5, 5, 3)",
        "random_exponential(6, 6, 2)",
        "1 isnull or 1 notnull",
        "(1021 * 77) % \\\n (100000 * :scale) + 1",
    ];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    for (value, seed) in
        [(0, 0), (1, 1), (-1, 5432), (i64::MAX, -1), (i64::MIN + 1, 7), (123_456_789, i64::MAX)]
    {
        for function in ["hash", "hash_fnv1a", "hash_murmur2"] {
            all.push(format!("{function}({value}, {seed})"));
        }
        for size in [1, 2, 3, 4, 5, 63, 64, 65, 1_000, 1_000_000_007, i64::MAX] {
            all.push(format!("permute({value}, {size}, {seed})"));
        }
    }
    all
}

#[test]
fn expressions_have_the_values_that_pgbench_gives_them() {
    let database = Database::empty();
    let folder = Folder::new();
    let lines = expressions();
    let script = |wrap: fn(&str) -> String| -> String {
        let line = |(index, text): (usize, &String)| format!("\\set v{index} {}\n", wrap(text));
        lines.iter().enumerate().map(line).collect()
    };
    let path = folder.script("debug.sql", &script(|text| format!("debug({text})")));
    let said = pgbench(&database)
        .args(["-n", "-t", "1", "-D", "default_seed=5432", "-D", "text=0012", "-f"])
        .arg(&path)
        .output()
        .expect("pgbench is there");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // One line for each expression, and those of calls inside: the last with the number of a command is its value.
    let mut theirs = vec![String::new(); lines.len()];
    for line in said.lines().filter_map(|line| line.strip_prefix("debug(script=0,command=")) {
        let (number, value) = line.split_once("): ").expect("a number and a value");
        let at = number.parse::<usize>().expect("a number") - 1;
        value.clone_into(&mut theirs[at]);
    }
    let ours = debugged(&folder.script("plain.sql", &script(str::to_owned)));
    for ((text, theirs), ours) in lines.iter().zip(&theirs).zip(&ours) {
        assert_eq!(ours, theirs, "{text}\n{said}");
    }
}

fn sum(database: &Database, what: &str) -> i64 {
    let (column, table) = what.split_once(' ').expect("a column and a table");
    database
        .value(&format!("SELECT coalesce(sum({column}), 0) FROM pgbench_{table}"))
        .parse()
        .expect("a number")
}

/// What TPC-B wants to be true, and is after any number of transactions of any tool.
fn assert_sums_agree(database: &Database) {
    let history = sum(database, "delta history");
    for balances in ["abalance accounts", "tbalance tellers", "bbalance branches"] {
        assert_eq!(sum(database, balances), history, "{balances}");
    }
}

#[test]
fn the_built_in_scripts_leave_what_pgbench_leaves() {
    let database = tables();
    let folder = Folder::new();
    let done = pgbench(&database).args(["-n", "-c", "2", "-t", "50"]).output().expect("pgbench is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let rows = || database.value("SELECT count(*) FROM pgbench_history");
    assert_eq!(rows(), "100");
    assert_sums_agree(&database);
    for protocol in ["simple", "extended", "prepared"] {
        let before: u64 = rows().parse().expect("a number");
        let words =
            format!("-b tpcb --protocol {protocol} --clients 4 --pool-size 4 --duration 1s --warmup 0s");
        let report = folder.report(database.url(), &words, &[]);
        let stage = measured(&report);
        assert!(stage.accounting.ok > 0, "{protocol}: {:?}", report.events);
        assert_eq!(stage.accounting.failed, 0, "{protocol}: {:?}", report.events);
        assert_eq!(rows(), (before + stage.accounting.ok).to_string(), "{protocol}");
        assert_sums_agree(&database);
        assert_checks(stage);
        let transaction = &stage.transactions[0];
        assert_eq!((transaction.name.as_str(), stage.statements.len()), ("tpcb-like", 5));
        // Probes join what the server says by the tag.
        let updated = &stage.statements[3];
        assert_eq!(updated.name, "5_update_pgbench_branches");
        assert!(updated.server.is_some(), "{protocol}: {updated:?}");
    }
    let tellers = sum(&database, "tbalance tellers");
    let words = "-b simple-update@2 -b select-only -D scale=1 --rate 300 --duration 1s --warmup 0s";
    let report = folder.report(database.url(), words, &[]);
    let stage = measured(&report);
    assert_eq!(stage.accounting.ok, 300, "{:?}", report.events);
    assert_eq!(sum(&database, "abalance accounts"), sum(&database, "delta history"));
    assert_eq!(sum(&database, "tbalance tellers"), tellers, "simple-update leaves them alone");
    // Binomial with n = 300, p = 2/3: five standard deviations are 41.
    assert!(stage.transactions[0].ok.abs_diff(200) <= 41, "weights are shares: {:?}", stage.transactions[0]);
}

#[test]
fn a_throwaway_server_gets_the_tables_of_pgbench() {
    let folder = Folder::new();
    let script = folder.script("mine.sql", "\\set bid random(1, :scale)\nSELECT bbalance FROM pgbench_branches WHERE bid = :bid \\gset\n\
        \\if :bbalance <> 0\nSELECT 1 / 0;\n\\endif\nSELECT count(*) AS accounts FROM pgbench_accounts \\gset\n\\if :accounts <> 100000 * :scale\nSELECT 1 / 0;\n\\endif\n");
    let report =
        folder.report("local", "--clients 1 --duration 1s --warmup 0s --scale 2 --no-probes", &[&script]);
    let stage = measured(&report);
    assert!(stage.accounting.ok > 0 && stage.accounting.failed == 0, "{:?}", report.events);
    assert_eq!(report.workload.name, "mine");
}

/// The examples of pgbench's manual page, and what a script may do besides.
#[test]
fn scripts_run_unchanged() {
    let database = tables();
    database.execute("CREATE TABLE seen (step text, value text)");
    let folder = Folder::new();
    let script = folder.script("all.sql", r"
\set ntellers 10 * :scale
\set aid (1021 * random(1, 100000 * :scale)) % \
           (100000 * :scale) + 1
\set divx CASE WHEN :zero <> 0 THEN :aid/:zero ELSE NULL END
\set delta random(-5000, 5000)
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE pgbench_accounts
  SET abalance = abalance + :delta
  WHERE aid = :aid
  RETURNING abalance \gset
-- compound of two queries
SELECT 1 \;
SELECT 2 AS two, 3 AS three \gset p_
SELECT 4 AS four \; SELECT i AS five FROM generate_series(1, 5) AS i \aset
SELECT 1 AS nobody WHERE false \aset
INSERT INTO seen VALUES ('gset', ':p_two :p_three'), ('aset', ':four :five'), ('unset', ':nobody'), ('null', :divx),
  ('cast', '1'::text || ':ntellers'), ('client', :client_id), ('text', ':text');
END;
\if :p_two + :p_three = 5 and :five = 5
  \if false
    SELECT 1 / 0;
  \elif not false
    \set branch 7
  \endif
\else
  SELECT 1 / 0;
\endif
\sleep 1 us
");
    let words = "-D zero=0 -D text=it''s --clients 1 --duration 1s --warmup 0s";
    let report = folder.report(database.url(), words, &[&script]);
    let stage = measured(&report);
    assert!(stage.accounting.ok > 0, "{:?}", report.events);
    assert_eq!(stage.accounting.failed, 0, "{:?}", report.events);
    let seen: Vec<(String, Option<String>)> = database
        .rows("SELECT DISTINCT step, value FROM seen ORDER BY step")
        .into_iter()
        .map(|row| (row[0].clone().expect("a step"), row[1].clone()))
        .collect();
    let expected = [
        ("aset", Some("4 5")),
        ("cast", Some("110")),
        ("client", Some("0")),
        ("gset", Some("2 3")),
        ("null", None),
        ("text", Some("it's")),
        ("unset", Some(":nobody")),
    ];
    let expected = expected.map(|(step, value)| (step.to_owned(), value.map(str::to_owned)));
    assert_eq!(seen, expected);
}

#[test]
fn pipelines_are_sent_as_pipelines() {
    let database = Database::empty();
    database.execute("CREATE TABLE pipelined (n int)");
    let folder = Folder::new();
    let script = folder.script(
        "pipeline.sql",
        "\\set n random(1, 1000)\n\\startpipeline\nBEGIN;\nINSERT INTO pipelined VALUES (:n);\n\
         INSERT INTO pipelined VALUES (0 - :n);\nEND;\n\\endpipeline\n\
         SELECT sum(n) AS total FROM pipelined \\gset\n\\if :total <> 0\nSELECT 1 / 0;\n\\endif\n\
         \\startpipeline\nINSERT INTO pipelined VALUES (1);\n\\syncpipeline\nINSERT INTO pipelined VALUES (-1);\n\
         \\endpipeline\n",
    );
    let mut rows = 0;
    for protocol in ["extended", "prepared"] {
        let words = format!("-M {protocol} --clients 1 --duration 1s --warmup 0s --no-probes");
        let report = folder.report(database.url(), &words, &[&script]);
        let stage = measured(&report);
        assert!(stage.accounting.ok > 0, "{protocol}: {:?}", report.events);
        assert_eq!(stage.accounting.failed, 0, "{protocol}: {:?}", report.events);
        rows += 4 * stage.accounting.ok;
    }
    assert_eq!(database.value("SELECT count(*) FROM pipelined"), rows.to_string());
    assert_eq!(database.value("SELECT sum(n) FROM pipelined"), "0");

    // What fails inside a pipeline fails the script, and takes the rest of its part with it.
    let failing = folder.script(
        "failing.sql",
        "\\startpipeline\nINSERT INTO pipelined VALUES (7000);\nSELECT 1 / 0;\n\\endpipeline\n",
    );
    let open = folder
        .script("open.sql", "\\if true\n\\startpipeline\n\\endif\nINSERT INTO pipelined VALUES (7000);\n");
    let words = "-M prepared --rate 50 --duration 1s --warmup 0s --no-probes";
    let report = folder.report(database.url(), words, &[&failing, &open]);
    let codes: Vec<Vec<&String>> =
        measured(&report).transactions.iter().map(|kind| kind.errors.keys().collect()).collect();
    assert_eq!(codes, [["22012"], ["pipeline"]]);
    assert_eq!(database.value("SELECT count(*) FROM pipelined WHERE n = 7000"), "0");
}

/// A sample shows what a variable holds in the end, whether a statement sends it or not.
#[test]
fn a_sample_shows_variables_that_no_statement_sends() {
    let database = Database::empty();
    let folder = Folder::new();
    let script = folder.script("sampled.sql", "\\set a 1 + 1\n\\set b :a * 2\nSELECT :b;\n\\set b :b + 1\n");
    let samples = folder.0.path().join("samples.csv");
    let words = "--clients 1 --duration 1s --warmup 0s --no-probes --sample-values a,b --samples";
    let words = format!("{words} {}", samples.display());
    let report = folder.report(database.url(), &words, &[&script]);
    let written = std::fs::read_to_string(&samples).expect("the samples are there");
    let lines: Vec<&str> = written.lines().skip(1).collect();
    assert_eq!(lines.len() as u64, measured(&report).accounting.ok);
    assert!(lines.iter().all(|line| line.ends_with(",2,5")), "{:?}", lines.first());
}

/// A lost answer leaves open whether it was committed only where it can have been: behind a transaction that is over, or with
/// a COMMIT in the same request.
#[test]
fn a_lost_answer_is_unknown_where_something_may_be_committed() {
    let database = Database::empty();
    database.execute("CREATE TABLE lost (n int)");
    let folder = Folder::new();
    let dies = "INSERT INTO lost SELECT 1 FROM pg_terminate_backend(pg_backend_pid())";
    let alone = format!("{dies};\n");
    let behind = format!("BEGIN;\nSELECT 1;\nROLLBACK;\n{dies};\n");
    let together = format!("BEGIN;\nSELECT 1\\;\n{dies}\\;\nCOMMIT;\n");
    let inside = format!("BEGIN;\n{dies};\nEND;\n");
    let read = "SELECT pg_terminate_backend(pg_backend_pid());\n".to_owned();
    for (texts, unknown) in [(vec![alone, behind, together], true), (vec![inside, read], false)] {
        let scripts: Vec<PathBuf> =
            texts.iter().enumerate().map(|(at, text)| folder.script(&format!("s{at}.sql"), text)).collect();
        let scripts: Vec<&Path> = scripts.iter().map(PathBuf::as_path).collect();
        let words = "--rate 60 --duration 1s --warmup 0s --pool-size 2 --no-probes";
        let report = folder.run(database.url(), words, &scripts).report();
        let books = measured(&report).accounting;
        let (lost, other) =
            if unknown { (books.unknown, books.failed) } else { (books.failed, books.unknown) };
        // No script ends well, and of each kind some were drawn.
        assert_eq!((lost, other, books.ok), (60, 0, 0), "{texts:?}: {books:?}");
    }
    assert_eq!(database.value("SELECT count(*) FROM lost"), "0");
}

/// What fails is counted by its code, and the client goes on; what cannot be run is refused before anything is.
#[test]
fn failures_have_codes() {
    let database = Database::empty();
    let folder = Folder::new();
    let scripts = [
        ("division.sql", "\\set x 1 / 0\n"),
        ("open.sql", "BEGIN;\nSELECT 1;\n"),
        ("none.sql", "SELECT 1 AS x WHERE false \\gset\n"),
        ("refused.sql", "BEGIN;\nSELECT * FROM missing;\nEND;\n"),
        ("fine.sql", "SELECT 1;\n"),
    ]
    .map(|(name, text)| folder.script(name, text));
    let scripts: Vec<&Path> = scripts.iter().map(PathBuf::as_path).collect();
    let words = "--rate 200 --duration 1s --warmup 0s --pool-size 2";
    let report = folder.report(database.url(), words, &scripts);
    let stage = measured(&report);
    let codes: Vec<(&str, Vec<&str>)> = stage
        .transactions
        .iter()
        .map(|kind| (kind.name.as_str(), kind.errors.keys().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        codes,
        [
            ("division", vec!["meta_command"]),
            ("open", vec!["open_transaction"]),
            ("none", vec!["no_row"]),
            ("refused", vec!["42P01"]),
            ("fine", vec![]),
        ]
    );
    assert_eq!(stage.accounting.issued, 200);

    let script = folder.script("mistaken.sql", "\\set a foo(1)\n\\shell ls\n");
    let ended = folder.run(database.url(), "--clients 1 --duration 1s", &[&script]);
    assert_eq!(ended.code, Some(2), "{}", ended.errors);
    assert!(
        ended.errors.contains("mistaken.sql:1:8") && ended.errors.contains("mistaken.sql:2:1"),
        "{}",
        ended.errors
    );
    for words in ["-w workloads/tpcb", "-b tpcc", "-b tpcb@x", "-D x", "--scale 0.5", "-D 1x=1"] {
        let ended = folder.run(database.url(), &format!("{words} --clients 1 --duration 1s"), &[scripts[4]]);
        assert_eq!(ended.code, Some(2), "{words}: {}", ended.errors);
    }
}
