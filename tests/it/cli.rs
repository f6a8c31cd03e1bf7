//! The command line as people and scripts meet it: exit codes, what goes to which stream, and what every mistake says.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Database, dbdyno, own_environment, program, server};
use crate::place::{Measured, Place, Running, as_user, measured};

const QUICK: &str = "run --clients 2 --pool-size 2 --duration 1s --warmup 0s";

fn run(command: &mut assert_cmd::Command) -> Measured {
    Measured::from(&command.output().expect("the program can be started"))
}

/// Runs without a workload and a history.
fn plain(words: &str) -> Measured {
    run(dbdyno().args(words.split_whitespace()))
}

/// Asserts that the command failed with the code, printed no result, and said all of these words.
#[track_caller]
fn assert_refused(ended: &Measured, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.errors);
    assert_eq!(ended.output, "", "a failure is no result");
    for word in words {
        assert!(ended.errors.contains(word), "`{word}` is missing: {}", ended.errors);
    }
    assert!(!ended.errors.contains("panicked"), "{}", ended.errors);
}

#[test]
fn every_command_explains_itself() {
    let help = plain("--help");
    assert_eq!((help.code, help.errors.as_str()), (Some(0), ""));
    for command in [
        "demo",
        "load",
        "preview",
        "run",
        "pool",
        "capacity",
        "report",
        "doctor",
        "explain",
        "schema",
        "completions",
        "man",
    ] {
        assert!(help.output.contains(&format!("\n  {command} ")), "{command} is not in {}", help.output);
        let own = plain(&format!("{command} --help"));
        assert_eq!(own.code, Some(0));
        assert!(own.output.contains(&format!("Usage: dbdyno {command}")), "{}", own.output);
    }
    assert!(help.output.contains("Exit codes: "), "scripts look for them: {}", help.output);
    assert_eq!(plain("--version").output, concat!("dbdyno ", env!("CARGO_PKG_VERSION"), "\n"));
    // The supervisor's subcommand is not for people.
    assert!(!help.output.contains(dbdyno::local::SUPERVISE));
}

#[test]
fn the_schema_knows_every_key_of_the_repositorys_workloads() {
    let ended = plain("schema");
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    let schema: Value = serde_json::from_str(&ended.output).expect("one JSON object");
    let known = schema["properties"].as_object().expect("properties");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/workloads")).expect("workloads") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        let path = folder.join("workload.toml");
        let text = std::fs::read_to_string(&path).expect("readable");
        let keys: toml::Table = text.parse().expect("TOML");
        assert!(!keys.is_empty());
        for key in keys.keys() {
            assert!(known.contains_key(key), "{}: {key}", path.display());
        }
    }
    let transaction = &schema["properties"]["transaction"]["items"]["properties"];
    for key in ["name", "weight", "statements", "step", "parameter", "isolation", "retry"] {
        assert!(transaction.get(key).is_some(), "{key}: {transaction}");
    }
}

#[test]
fn completions_and_the_manual_can_be_read_by_their_readers() {
    let bash = plain("completions bash");
    assert_eq!(bash.code, Some(0));
    let mut reader = Command::new("bash");
    // Offers what fits after `dbdyno r`.
    let script = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(script.path(), &bash.output).expect("written");
    let ask = "source \"$0\"; COMP_WORDS=(dbdyno r); COMP_CWORD=1; _dbdyno dbdyno r dbdyno; echo \"${COMPREPLY[@]}\"";
    reader.args(["-c", ask]).arg(script.path());
    let offered = Running::spawn(reader).end();
    assert_eq!(offered.output.trim(), "run runs report", "{}", offered.errors);
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(plain(&format!("completions {shell}")).output.contains("dbdyno"), "{shell}");
    }
    assert_refused(&plain("completions tcsh"), 2, &["tcsh", "bash"]);
    let man = plain("man");
    assert!(man.output.contains(".TH dbdyno 1"), "{}", man.output);
}

#[test]
fn wrong_arguments_are_usage_errors_that_name_the_flag() {
    let place = Place::one_statement("SELECT 1");
    let url = "postgres://nobody@127.0.0.1:1/none";
    for (words, named) in [
        ("run --clients 2 --rate 5 --duration 1s", &["--clients", "--rate"] as &[&str]),
        ("run --duration 1s", &["--duration", "--rate", "--clients"]),
        ("run --clients 2", &["--duration 20s"]),
        ("run", &["[[stage]]", "--clients"]),
        ("run --clients 2 --duration soon", &["--duration", "soon"]),
        ("run --clients 2 --duration 0s", &["--duration"]),
        ("run --clients 0 --duration 1s", &["--clients", "0"]),
        ("run --rate=-3 --duration 1s", &["--rate"]),
        ("run --rate NaN --duration 1s", &["--rate"]),
        ("run --rate 1..fast --duration 1s", &["--rate", "100..800"]),
        ("run --rate 0..0 --duration 1s", &["--rate", "0"]),
        ("run --clients 1.5 --duration 1s", &["--clients", "part of a client"]),
        ("run --sessions 5 --duration 1s", &["--sessions", "--transactions 8"]),
        ("run --sessions 5 --transactions 0 --duration 1s", &["--transactions", "from 1"]),
        ("run --rate 5 --transactions 2 --duration 1s", &["--transactions", "--sessions"]),
        ("run --rate 5 --think 1s --duration 1s", &["--think", "--clients or --sessions"]),
        ("run --clients 5 --think soon --duration 1s", &["--think", "exponential 200ms"]),
        ("run --clients 5 --arrivals poisson --duration 1s", &["--arrivals", "--rate or --sessions"]),
        ("run --clients 5 --max-lag 1s --duration 1s", &["--max-lag", "--rate or --sessions"]),
        ("run --max-lag 1s", &["--max-lag", "no stage of the workload"]),
        ("run --think 1s", &["--think", "the workload's own stages"]),
        ("pool --max-lag 1s", &["--max-lag", "--rate or --sessions"]),
        ("run --clients 1 --duration 1s --mix onl", &["--mix", "did you mean `only`"]),
        ("run --clients 1 --duration 1s --mix only=0", &["--mix", "above zero"]),
        ("run --clients 1 --duration 1s --scale 0", &["--scale"]),
        (
            "run --clients 1 --duration 1s --no-probes --probe-interval 1s",
            &["--no-probes", "--probe-interval"],
        ),
        ("run --clients 1 --duration 1s --probe-interval 5ms", &["--probe-interval", "10ms"]),
        ("run --clients 1 --duration 1s --budget p99", &["--budget", "p99"]),
        ("run --clients 1 --duration 1s --budget onl.response.p99<1s", &["onl", "did you mean `only`"]),
        ("run --clients 1 --duration 1s --budget only.respnse.p99<1s", &["--budget", "response"]),
        ("run --clients 1 --duration 1s --protocol fast", &["--protocol", "extended"]),
        ("run --clients 1 --duration 1s --rtt 1m", &["--rtt", "10s"]),
        ("run --clients 1 --duration 1s --statement-timeout 10us", &["--statement-timeout", "millisecond"]),
        ("run --clients 1 --duration 1s --client-cpus 3-1", &["--client-cpus", "0,2-3"]),
        ("run --clients 1 --duration 1s --client-cpus 1023", &["--client-cpus", "no CPU 1023"]),
        ("run --clients 1 --duration 1s --server-cpus 0", &["--server-cpus", "--target local"]),
        ("run --clients 1 --duration 1s --warmup soon", &["--warmup", "`auto`"]),
        ("run --clients 1 --duration 1s --warmup-max 20s", &["--warmup-max", "--warmup auto"]),
        ("pool --warmup auto --warmup-max 5s", &["--warmup-max", "15s"]),
        ("run --profile progressive", &["--profile", "--rate R"]),
        ("run --profile progressive --rate 1..5", &["--profile", "one number"]),
        ("run --profile spike --rate 100 --duration 5s", &["--duration", "30s"]),
        ("run --profile stress --rate 3000000", &["five times", "10000000"]),
        ("pool --sizes 1,0", &["--sizes"]),
        ("pool --sizes 2,2", &["--sizes", "2,2"]),
        ("pool --sizes", &["--sizes"]),
        ("run --clents 1 --duration 1s", &["--clents", "--clients"]),
        ("run --clients 1 --duration 1s --pooler pgbouncr", &["pgbouncr", "pgbouncer:session"]),
        ("run --clients 1 --duration 1s --pooler pgbouncer", &["--target local", "--pooler-admin"]),
        ("run --clients 1 --duration 1s --pooler-pool 4", &["--pooler-pool", "--pooler pgbouncer"]),
        (
            "run --clients 1 --duration 1s --pooler-admin postgres://x/pgbouncer",
            &["--pooler-admin", "--pooler URL"],
        ),
        (
            "run --clients 1 --duration 1s --pooler postgres://x/y --reset template",
            &["--reset template", "--pooler pgbouncer"],
        ),
        ("run --clients 1 --duration 1s --churn 1m --warmup auto", &["--churn", "--warmup 10s"]),
        ("run --clients 1 --duration 1s --storm 1s", &["--storm 1s", "is over"]),
        ("capacity", &["--goal"]),
        ("capacity --goal p99<50", &["--goal", "50ms"]),
        ("capacity --goal p99<50ms,onl.errors<1%", &["onl", "did you mean `only`"]),
        ("capacity --goal throughput>5", &["throughput", "--at-least"]),
        ("capacity --goal p99<50ms --budget p99<1s", &["--budget", "--goal"]),
        ("capacity --goal p99<50ms --storm 1s", &["--storm", "capacity"]),
        ("capacity --goal p99<50ms --precision 5", &["--precision", "5%"]),
        ("capacity --goal p99<50ms --precision 0.1%", &["--precision", "1%"]),
        ("capacity --goal p99<50ms --at-most 20s", &["--at-most", "50s"]),
    ] {
        let ended = run(&mut place.on(url, words));
        assert_refused(&ended, 2, named);
    }
    assert_refused(&plain("reprot"), 2, &["reprot", "'report'"]);
    assert_refused(&plain("run --clients 1 --duration 1s"), 2, &["--workload"]);
    let local = "run --clients 1 --duration 1s --local-setting shared_buffers";
    assert_refused(&run(&mut place.on("local", local)), 2, &["--local-setting", "NAME=VALUE"]);
    for target in ["oracle://h/d", "loca", "postgres://h:port/d", ""] {
        let ended = run(&mut place.on(target, QUICK));
        assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""), "{target}: {}", ended.errors);
        assert!(ended.errors.contains("error: "), "{target}: {}", ended.errors);
    }
    assert!(!place.runs().exists(), "nothing was measured, so nothing is kept");
}

#[test]
fn scripts_have_weights_of_their_own() {
    let ended = plain(
        "run -b select-only --mix select-only --clients 1 --duration 1s -t postgres://nobody@127.0.0.1:1/none",
    );
    assert_refused(&ended, 2, &["--mix", "--builtin"]);
}

#[test]
fn a_wrong_password_is_refused_and_stands_nowhere() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    let secret = "hunter2-Ärger";
    let encoded = "hunter2-%C3%84rger";
    let url = as_user(database.url(), &format!("postgres:{encoded}"));
    let ended = run(place.on(&url, QUICK).args(["--json", "-"]));
    assert_refused(&ended, 1, &["28P01", "PGPASSWORD"]);
    let without = as_user(database.url(), "postgres");
    let by_environment = run(place.on(&without, QUICK).env("PGPASSWORD", secret));
    assert_refused(&by_environment, 1, &["28P01"]);
    let none = run(&mut place.on(&without, QUICK));
    assert_refused(&none, 1, &["asks for a password", "PGPASSWORD"]);
    for ended in [&ended, &by_environment] {
        assert!(!ended.errors.contains("hunter2"), "{}", ended.errors);
    }
}

#[test]
fn a_right_password_stands_nowhere_either() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let (before, _) = database.url().split_once('@').expect("user and password");
    let (_, password) = before.rsplit_once(':').expect("a password");
    let mut texts = Vec::new();
    for format in ["--full", "--json=-"] {
        let ended = run(place.on(database.url(), QUICK).arg(format));
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
        texts.extend([ended.output, ended.errors]);
    }
    let doctor = run(dbdyno().args(["doctor", "-t", database.url()]));
    texts.extend([doctor.output, doctor.errors]);
    let mut folders = vec![place.runs()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("runs were kept") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                texts.push(String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned());
            }
        }
    }
    // Two runs of a journal and a report each, the history, and two streams of three commands.
    assert_eq!(texts.len(), 11);
    for text in texts {
        assert!(!text.contains(password), "{text}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = Place::one_statement("SELECT 1");
    // Port 1 of this machine is nobody's.
    let ended = run(&mut place.on("postgres://u@127.0.0.1:1/d", QUICK));
    assert_refused(&ended, 1, &["127.0.0.1:1", "refused", "hint: is the server running"]);
    let doctor = run(dbdyno().args(["doctor", "-t", "postgres://u@127.0.0.1:1/d"]));
    assert_refused(&doctor, 1, &["127.0.0.1:1"]);
    assert!(!place.runs().exists());
}

#[test]
fn a_database_that_is_not_there_is_named_with_the_command_that_makes_it() {
    let place = Place::one_statement("SELECT 1");
    let url = server().url().replace("/postgres?", "/no_such_shop?");
    assert_refused(&run(&mut place.on(&url, QUICK)), 1, &["3D000", "createdb no_such_shop"]);
}

#[test]
fn a_folder_without_a_workload_says_what_is_missing() {
    let url = "postgres://nobody@127.0.0.1:1/none";
    let nothing = tempfile::tempdir().expect("a folder");
    let at = |folder: &std::path::Path| {
        run(dbdyno().args(QUICK.split_whitespace()).arg("-w").arg(folder).args(["-t", url]))
    };
    assert_refused(&at(nothing.path()), 2, &["workload.toml"]);
    assert_refused(&at(&nothing.path().join("no_such_folder")), 2, &["no_such_folder"]);
    assert_refused(&at(Place::new("", "").workload().as_path()), 2, &["workload.toml"]);
    let empty = Place::new("name = \"empty\"\n", "-- name: one :many\nSELECT 1;\n");
    assert_refused(&run(&mut empty.on(url, QUICK)), 2, &["[[transaction]]"]);
}

#[test]
fn all_mistakes_of_a_workload_are_told_at_once_with_their_places() {
    let place = Place::new(
        "name = \"wrong\"\ndescripton = \"x\"\n[[transaction]]\nname = \"a b\"\nweigth = 3\n\
         statements = [\"on\"]\n[[stage]]\nname = \"s\"\nduration = \"soon\"\nclients = 1\n",
        "-- name: one :many\nSELECT 1;\n-- name: two :some\nSELECT 2;\n",
    );
    let ended = run(&mut place.on("postgres://nobody@127.0.0.1:1/none", QUICK));
    assert_refused(
        &ended,
        2,
        &["descripton", "description", "weigth", "weight", "`on`", "soon", ":some", "a b"],
    );
    for at in
        ["workload.toml:2:", "workload.toml:4:", "workload.toml:5:", "workload.toml:9:", "queries.sql:3:"]
    {
        assert!(ended.errors.contains(at), "{at}: {}", ended.errors);
    }
}

#[test]
fn all_statements_that_the_server_does_not_know_are_told_at_once() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"gone\"\n[[transaction]]\nname = \"only\"\nstatements = [\"first\", \"good\", \"second\"]\n",
        "-- name: first :many\nSELECT * FROM no_table;\n-- name: good :many\nSELECT 1;\n\
         -- name: second :many\nSELECT no_column FROM pg_class;\n",
    );
    let ended = run(&mut place.on(database.url(), QUICK));
    assert_refused(&ended, 2, &["no_table", "no_column", "queries.sql:1:", "queries.sql:5:"]);
    assert!(!place.runs().exists(), "nothing was measured");
}

#[test]
fn a_table_that_was_not_loaded_is_named_with_the_command_that_loads_it() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"unloaded\"\n[table.things]\nrows = 10\n[table.things.column]\nid = { sequence = {} }\n\
         [[transaction]]\nname = \"only\"\nstatements = [\"one\"]\n",
        "-- name: one :many\nSELECT id FROM things;\n",
    )
    .file("schema.sql", "CREATE TABLE things (id int PRIMARY KEY);\n");
    let ended = run(&mut place.on(database.url(), QUICK));
    assert_refused(&ended, 2, &["things", "dbdyno load"]);
    let loaded = run(&mut place.on(database.url(), "load"));
    assert_eq!((loaded.code, loaded.output.as_str()), (Some(0), ""), "{}", loaded.errors);
    assert_eq!(run(&mut place.on(database.url(), QUICK)).code, Some(0));
}

#[test]
fn a_right_that_is_missing_is_told_before_anything_is_measured() {
    let database = Database::empty();
    database.execute("CREATE TABLE closed (i int); CREATE ROLE visitor LOGIN PASSWORD 'visitor'");
    let place = Place::one_statement("SELECT i FROM closed");
    let ended = run(&mut place.on(&as_user(database.url(), "visitor:visitor"), QUICK));
    assert_refused(&ended, 2, &["permission denied for table closed", "42501", "grant"]);
}

#[test]
fn a_right_that_is_taken_away_in_mid_run_fails_by_its_sqlstate_and_costs_no_count() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE open (i int); CREATE TABLE closed (i int); CREATE ROLE clerk LOGIN PASSWORD 'clerk';
         GRANT SELECT ON open, closed TO clerk",
    );
    let transaction = |name: &str| format!("[[transaction]]\nname = \"{name}\"\nstatements = [\"{name}\"]\n");
    let place = Place::new(
        &format!("name = \"rights\"\n{}{}", transaction("open"), transaction("closed")),
        "-- name: open :many\nSELECT i FROM open;\n-- name: closed :many\nSELECT i FROM closed;\n",
    );
    let url = as_user(database.url(), "clerk:clerk");
    let running = place.begin(&url, "run --rate 100 --duration 3s --warmup 0s");
    place.wait_for_seconds(1);
    database.execute("REVOKE SELECT ON closed FROM clerk");
    let ended = running.end();
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let report = ended.report();
    let stage = measured(&report);
    let closed = stage.transactions.iter().find(|one| one.name == "closed").expect("it was tried");
    assert_eq!(closed.errors.keys().collect::<Vec<_>>(), ["42501"]);
    assert_eq!(closed.errors["42501"], stage.accounting.failed);
    assert_eq!((stage.accounting.ok + stage.accounting.failed, stage.accounting.issued), (300, 300));
    // A second was allowed, at most two were not: of half the mix.
    assert!(stage.accounting.failed > 50 && stage.accounting.failed < 150, "{:?}", stage.accounting);
    let told = report.events.iter().find(|event| event.kind == "first_error").expect("it is told");
    assert!(told.message.contains("permission denied for table closed"), "{told:?}");
    assert!(report.findings.iter().any(|finding| finding.id == "errors"), "{:?}", report.findings);
    // What such a role cannot see is said, not shown as zero.
    assert!(report.target.blind_spots.iter().any(|spot| spot.contains("pg_monitor")), "{:?}", report.target);
}

#[test]
fn names_with_quotes_and_foreign_letters_go_through_to_the_report() {
    let database = Database::empty();
    // A table is named as in SQL, quoted where it must be; a column by its bare name.
    let workload = r#"
        name = "Büro \"A\""
        [table."\"Best\"\"ellung 'ü' 表\""]
        rows = 500
        [table."\"Best\"\"ellung 'ü' 表\"".column]
        "Nr.\"1\"" = { sequence = {} }
        "größe 'm²'" = { uniform = [1, 9] }
        [[transaction]]
        name = "look"
        statements = ["look"]
        [transaction.parameter]
        id = { key = { table = "\"Best\"\"ellung 'ü' 表\"" } }
    "#;
    let queries = r#"
        -- name: look :one
        SELECT "größe 'm²'" AS g, '-- :no /* "' AS odd FROM "Best""ellung 'ü' 表" WHERE "Nr.""1""" = :id;
    "#;
    let schema =
        r#"CREATE TABLE "Best""ellung 'ü' 表" ("Nr.""1""" int PRIMARY KEY, "größe 'm²'" int NOT NULL);"#;
    let place = Place::new(workload, queries).file("schema.sql", schema);
    let loaded = run(&mut place.on(database.url(), "load"));
    assert_eq!(loaded.code, Some(0), "{}", loaded.errors);
    let report = place.report(database.url(), "run --rate 200 --duration 1s --warmup 0s");
    let stage = measured(&report);
    // Each key that was drawn is there: none gives no row.
    assert_eq!(
        (stage.accounting.ok, stage.accounting.failed),
        (200, 0),
        "{:?}",
        stage.transactions[0].errors
    );
    assert_eq!(report.workload.name, "Büro \"A\"");
    let table = stage.tables.iter().find(|table| table.table.contains("ellung")).expect("it was read");
    assert!(table.table.contains("ellung 'ü' 表"), "{table:?}");
    assert_eq!(table.live_rows, 500);
    let shown = run(&mut place.dbdyno("report --full"));
    assert!(shown.output.contains("Büro \"A\""), "{}", shown.output);

    let named = Place::new(
        "name = \"n\"\n[[transaction]]\nname = \"Prüfung\"\nstatements = [\"s\"]\n",
        "-- name: s :many\nSELECT 1;\n",
    );
    let refused = run(&mut named.on(database.url(), QUICK));
    assert_refused(&refused, 2, &["Prüfung", "letters, digits"]);
}

#[test]
fn json_stands_alone_on_standard_output() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let ended = run(place.on(database.url(), QUICK).args(["--json", "-"]));
    let values: Vec<Value> = serde_json::Deserializer::from_str(&ended.output)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("only JSON");
    assert_eq!(values.len(), 1);
    assert_eq!(values[0]["schema_version"], 1);
    assert!(ended.errors.contains("1/1s"), "progress goes to standard error: {}", ended.errors);
    assert!(ended.errors.contains("kept in "), "{}", ended.errors);
    let quiet = run(place.on(database.url(), QUICK).args(["--json", "-", "--quiet"]));
    assert_eq!(quiet.errors, "");
    quiet.report();
    let file = place.workload().join("no_such_folder/report.json");
    let unwritten = run(place.on(database.url(), QUICK).arg("--json").arg(&file));
    assert_eq!(unwritten.code, Some(1), "{}", unwritten.errors);
    assert!(unwritten.errors.contains("no_such_folder/report.json"), "{}", unwritten.errors);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = Command::new("bash");
    own_environment(&mut command);
    command.args(["-c", "set -o pipefail; \"$0\" completions zsh | head -c 10"]).arg(program());
    let ended = Running::spawn(command).end();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert_eq!(ended.output.len(), 10);
}

#[test]
fn colour_is_for_terminals_whose_users_want_it() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let ended = run(&mut place.on(database.url(), QUICK));
    for text in [&ended.output, &ended.errors] {
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    // `script` runs a command in a terminal of its own.
    let in_terminal = |no_color: Option<&str>| {
        let mut command = Command::new("script");
        own_environment(&mut command);
        command.args(["-qec", &format!("'{}' report", program().display()), "/dev/null"]);
        command.env("DBDYNO_RUNS_DIR", place.runs()).env("TERM", "xterm").env_remove("NO_COLOR");
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }
        let ended = Running::spawn(command).end();
        assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
        ended.output.contains("\u{1b}[")
    };
    assert!(in_terminal(None), "a terminal has colours");
    assert!(!in_terminal(Some("1")), "NO_COLOR is obeyed");
    assert!(in_terminal(Some("")), "an empty NO_COLOR is none");
}

#[test]
fn the_doctor_finds_what_is_there_and_how_to_get_what_is_not() {
    let database = Database::empty();
    let examine = |url: &str| {
        let ended = run(dbdyno().args(["doctor", "--json", "-t", url]));
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{}", ended.output);
        let found: Value = serde_json::from_str(&ended.output).expect("one JSON object");
        found["capabilities"].as_array().expect("a list").clone()
    };
    let of = |found: &[Value], id: &str| {
        found.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("no {id} in {found:?}")).clone()
    };
    for capability in examine(database.url()) {
        assert_eq!(capability["ok"], "present", "{capability}");
    }
    database.execute("DROP EXTENSION pg_stat_statements; CREATE ROLE guest LOGIN PASSWORD 'guest'");
    let found = examine(&as_user(database.url(), "guest:guest"));
    let statements = of(&found, "pg_stat_statements");
    assert_eq!(statements["ok"], "absent");
    let remedy = statements["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("CREATE EXTENSION"), "{remedy}");
    let rights = of(&found, "rights");
    assert_eq!(rights["ok"], "absent");
    assert!(
        rights["remedy"].as_str().expect("a remedy").contains("GRANT pg_monitor TO \"guest\""),
        "{rights}"
    );

    let page = run(dbdyno().args(["doctor", "-t", &as_user(database.url(), "guest:guest")]));
    assert!(page.output.contains("GRANT pg_monitor TO \"guest\""), "{}", page.output);
    assert!(page.output.lines().all(|line| line.chars().count() <= 80), "{}", page.output);
    // The remedies are true: with them, nothing is missing.
    database.execute("CREATE EXTENSION pg_stat_statements; GRANT pg_monitor TO \"guest\"");
    database.execute(of(&found, "reset")["remedy"].as_str().expect("a remedy"));
    for capability in examine(&as_user(database.url(), "guest:guest")) {
        assert_eq!(capability["ok"], "present", "{capability}");
    }
}

#[test]
fn a_run_that_is_not_there_is_named() {
    let place = Place::one_statement("SELECT 1");
    assert_refused(&run(&mut place.dbdyno("report")), 1, &["no run"]);
    assert_refused(&run(&mut place.dbdyno("report 20990101")), 1, &["20990101"]);
}

#[test]
fn a_calibration_is_shown_and_kept_for_later_runs() {
    let runs = tempfile::tempdir().expect("a folder");
    let calibrate = || -> dbdyno::model::Calibration {
        let output = dbdyno()
            .args(["calibrate", "--duration", "250ms", "--json", "-", "--runs-dir"])
            .arg(runs.path())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    // A crowded machine may keep a thread from its core for as long as a load lasts, in which nothing ends then.
    let is_whole = |shown: &dbdyno::model::Calibration| {
        shown.closed.iter().all(|point| point.cpu_us_per_transaction.is_some())
            && shown.open.iter().all(|point| point.lag_us.count > 0)
    };
    let shown = std::iter::repeat_with(calibrate)
        .take(3)
        .find(is_whole)
        .expect("one of three in which each load ran");
    let kept: Vec<_> = std::fs::read_dir(runs.path().join("calibration"))
        .expect("it is kept beside the runs")
        .map(|entry| std::fs::read(entry.expect("an entry").path()).expect("a file"))
        .collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(serde_json::from_slice::<dbdyno::model::Calibration>(&kept[0]).expect("JSON"), shown);
    let clients: Vec<_> =
        shown.closed.iter().filter(|point| point.threads == 1).map(|point| point.clients).collect();
    assert_eq!(clients, [1, 8, 64, 1024]);
    // A transaction costs some CPU, and a thread has no more than one core of it. A busy machine is late to read it: what that adds to
    // one load it takes from the next one, so that it hardly shows in all of them together.
    let cores: Vec<f64> = shown
        .closed
        .iter()
        .map(|point| point.cpu_us_per_transaction.expect("it is whole") * point.per_s / 1e6)
        .collect();
    assert!(cores.iter().all(|cores| *cores > 0.0), "{:?}", shown.closed);
    let of_one_thread = cores[..clients.len()].iter().sum::<f64>() / clients.len() as f64;
    assert!((0.05..1.25).contains(&of_one_thread), "{of_one_thread}: {:?}", shown.closed);
    assert_eq!(shown.open.len(), 3);
    for point in &shown.open {
        assert!(point.lag_us.count > 0 && point.lag_us.max >= point.lag_us.p50, "{point:?}");
    }
    assert!(shown.open[0].offered_per_s < shown.rate_max_per_s() / 5.0);

    // A later run knows it.
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    std::fs::create_dir_all(place.runs()).expect("a folder");
    std::fs::rename(runs.path().join("calibration"), place.runs().join("calibration")).expect("moved");
    let report = place.report(database.url(), "run --clients 2 --pool-size 2 --duration 2s --warmup 0s");
    let floor = report.generator.floor.expect("a floor");
    assert_eq!(Some(floor.cpu_us_per_transaction), shown.cpu_us_min());
    // A real session costs more than one that answers at once.
    assert!(floor.cpu_ratio.expect("a worker's CPU") > 1.0, "{floor:?}");
}
