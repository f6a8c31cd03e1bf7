//! The history: every run gets into it, it is found, labelled, moved and compared, and nothing of it is lost.

use dbdyno::model::{ChangeVerdict, CompareReport, CounterChange, Report, RunLine, Trend, Verdict};

use crate::harness::Database;
use crate::place::{Measured, Place};

const SHORT: &str = "run --rate 100 --duration 500ms --warmup 0s --pool-size 2 --no-probes";

fn done(command: &mut assert_cmd::Command) -> Measured {
    let ended = Measured::from(&command.output().expect("it runs"));
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    ended
}

fn listed(place: &Place, words: &str) -> Vec<RunLine> {
    let listed = done(&mut place.dbdyno(&format!("runs --format json {words}")));
    serde_json::from_str(&listed.output).expect("a list of runs")
}

fn compared(place: &Place, arguments: &[&str]) -> (Option<i32>, CompareReport) {
    let mut command = place.dbdyno("compare --json -");
    let ended = Measured::from(&command.args(arguments).output().expect("it runs"));
    let report = serde_json::from_str(&ended.output).unwrap_or_else(|_| panic!("{}", ended.errors));
    (ended.code, report)
}

fn one_row() -> (Database, Place) {
    (Database::empty(), Place::one_statement("SELECT 1"))
}

#[test]
fn runs_are_listed_labelled_moved_and_deleted() {
    let (database, place) = one_row();
    let first = place.report(database.url(), &format!("{SHORT} --tag main --tag nightly"));
    let mut command = place.on(database.url(), SHORT);
    let second = done(command.args(["--note", "it's the \"second\" one", "--json", "-"])).report();
    let lines = listed(&place, "");
    let ids: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids, [&second.id, &first.id], "the newest first");
    assert_eq!(lines[1].tags, ["main", "nightly"]);
    assert_eq!(lines[0].note, "it's the \"second\" one");
    let stage = &first.stages[0];
    assert_eq!((lines[1].per_s, lines[1].p50_us), (Some(stage.achieved_per_s), stage.response_us.p50));
    assert_eq!((lines[1].kind.as_str(), lines[1].workload.as_str()), ("run", "one"));

    done(&mut place.dbdyno(&format!("runs tag {} --add main --add odd%_tag", second.id)));
    done(&mut place.dbdyno(&format!("runs tag {} --remove nightly", &first.id[..19])));
    assert_eq!(listed(&place, "--tag main").len(), 2);
    assert_eq!(listed(&place, "--tag main --tag odd%_tag").len(), 1);
    assert_eq!(listed(&place, "--tag nightly").len(), 0);
    assert_eq!(listed(&place, "--kind pool").len(), 0);
    assert_eq!(listed(&place, "--since 1h").len(), 2);
    assert_eq!(listed(&place, "--until 2026-01-01").len(), 0);
    assert_eq!(listed(&place, "--last 1").len(), 1);
    done(place.dbdyno("runs note").arg(&second.id).arg("now another"));
    assert_eq!(listed(&place, "--last 1")[0].note, "now another");
    let table = done(&mut place.dbdyno("runs")).output;
    assert!(table.contains(&first.id) && table.contains("main"), "{table}");

    // To another history and back, without a difference.
    let (file, other) = (place.path("runs.jsonl"), place.path("other.sqlite"));
    done(place.dbdyno("runs export --tag main --out").arg(&file));
    let imported = done(place.dbdyno("runs --store").arg(&other).arg("import").arg(&file));
    assert!(imported.errors.contains("imported 2 runs; 0 were there"), "{}", imported.errors);
    let again = done(place.dbdyno("runs --store").arg(&other).arg("import").arg(&file));
    assert!(again.errors.contains("imported 0 runs; 2 were there"), "{}", again.errors);
    let there = done(place.dbdyno("runs --format json --store").arg(&other)).output;
    assert_eq!(serde_json::from_str::<Vec<RunLine>>(&there).expect("a list"), listed(&place, ""));

    // Deleted with its journal; the other history still has it.
    done(&mut place.dbdyno(&format!("runs delete {}", first.id)));
    assert!(!place.runs().join(&first.id).exists());
    assert_eq!(listed(&place, "").len(), 1);
    let gone = Measured::from(&place.dbdyno(&format!("report {}", first.id)).output().expect("it runs"));
    assert_eq!(gone.code, Some(1), "{}", gone.errors);
    let shown = done(place.dbdyno(&format!("report {} --format json --store", first.id)).arg(&other));
    assert!(shown.report() == first);
}

#[test]
fn what_did_not_get_into_the_history_is_imported_from_its_journal() {
    let (database, place) = one_row();
    let report = place.report(database.url(), SHORT);
    for file in ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm"] {
        let _ = std::fs::remove_file(place.runs().join(file));
    }
    assert_eq!(listed(&place, ""), []);
    done(place.dbdyno("runs import").arg(place.runs()));
    assert_eq!(listed(&place, "")[0].id, report.id);
    // The same from the folder of the run itself; and it is there already.
    let again = done(place.dbdyno("runs import").arg(place.runs().join(&report.id)));
    assert!(again.errors.contains("imported 0 runs; 1 were there"), "{}", again.errors);
}

#[test]
fn a_store_that_is_none_is_refused_before_anything_is_measured_and_left_as_it_is() {
    let (database, place) = one_row();
    let file = place.path("letter.sqlite");
    std::fs::write(&file, "Dear diary, today I was not a database.").expect("a file");
    let mut command = place.on(database.url(), SHORT);
    let refused = Measured::from(&command.arg("--store").arg(&file).output().expect("it runs"));
    assert_eq!(refused.code, Some(1), "{}", refused.errors);
    assert!(
        refused.errors.contains("letter.sqlite") && refused.errors.contains("--store"),
        "{}",
        refused.errors
    );
    assert!(!place.runs().exists(), "nothing was measured");
    let kept = std::fs::read_to_string(&file).expect("still there");
    assert_eq!(kept, "Dear diary, today I was not a database.");
    for (store, words) in [("mysql://u:secret@h/d", "mysql"), ("", "empty")] {
        let mut command = place.dbdyno("runs");
        let refused = Measured::from(&command.args(["--store", store]).output().expect("it runs"));
        assert_eq!(refused.code, Some(2), "{}", refused.errors);
        assert!(refused.errors.contains(words) && !refused.errors.contains("secret"), "{}", refused.errors);
    }
}

#[test]
fn a_team_shares_a_history_in_postgresql() {
    let (database, place) = one_row();
    let store = Database::empty();
    let mut measuring = Vec::new();
    // At once, into a store that none of them has seen.
    for number in 0..3 {
        let mut command = std::process::Command::new(crate::harness::program());
        crate::harness::own_environment(&mut command);
        command.env("DBDYNO_RUNS_DIR", place.path(&format!("runs-{number}"))).args(SHORT.split(' '));
        command.args(["-t", database.url(), "--tag", "team", "--store", store.url(), "--json", "-", "-w"]);
        command.arg(place.workload());
        measuring.push(crate::place::Running::spawn(command));
    }
    let mut ids: Vec<String> = measuring
        .into_iter()
        .map(|running| {
            let ended = running.end();
            assert_eq!(ended.code, Some(0), "{}", ended.errors);
            ended.report().id
        })
        .collect();
    ids.sort();
    let shared = done(place.dbdyno("runs --format json --tag team --store").arg(store.url())).output;
    let mut found: Vec<String> = serde_json::from_str::<Vec<RunLine>>(&shared)
        .expect("a list")
        .into_iter()
        .map(|line| line.id)
        .collect();
    found.sort();
    assert_eq!(found, ids);
    let password = store.url().split(':').nth(2).and_then(|rest| rest.split('@').next()).expect("a password");
    let gone = Measured::from(
        &place.dbdyno("runs delete nothing --store").arg(store.url()).output().expect("it runs"),
    );
    assert!(gone.errors.contains("no run `nothing`") && !gone.errors.contains(password), "{}", gone.errors);
}

#[test]
fn two_runs_are_compared_by_their_counters_and_groups_by_their_times() {
    let database = Database::empty();
    database.execute(
        "CREATE TABLE things (id int, kind int); INSERT INTO things SELECT n, n / 50 FROM generate_series(1, 5000) n;
         ANALYZE things",
    );
    let place = Place::one_statement("SELECT id FROM things WHERE kind = 7");
    let words = "run --clients 1 --duration 400ms --warmup 100ms --pool-size 1";
    let mut runs: Vec<Report> = Vec::new();
    // By turns: as it is, and with an index.
    for turn in 0..8 {
        let mut measure =
            |tag: &str| runs.push(place.report(database.url(), &format!("{words} --tag {tag}")));
        if turn % 2 == 0 {
            measure("old");
        }
        database.execute("CREATE INDEX of_kind ON things (kind)");
        measure("new");
        database.execute("DROP INDEX of_kind");
        if turn % 2 == 1 {
            measure("old");
        }
    }
    let (old, new) = (&runs[0].id, &runs[1].id);
    let (code, single) = compared(&place, &[old, new]);
    assert_eq!((code, single.verdict), (Some(0), Verdict::None));
    assert_eq!(single.comparison.pairs, 1);
    assert!(single.comparison.metrics.iter().all(|metric| metric.verdict == ChangeVerdict::Inconclusive));
    assert!(single.comparison.answer.starts_with("Times of one run each cannot be told"), "{single:?}");
    let blocks = |report: &CompareReport| {
        let counters = report.comparison.counters.iter();
        counters.clone().find(|counter| counter.counter == "blocks").expect("a counter").change
    };
    assert_eq!(blocks(&single), CounterChange::Fewer);

    let (code, groups) =
        compared(&place, &["old", "new", "--limit", "throughput -99%", "--limit", "p50 +900%"]);
    assert!(groups.interleaved);
    assert_eq!((code, groups.verdict), (Some(0), Verdict::Pass), "{:?}", groups.comparison.metrics);
    assert_eq!((groups.base.runs.len(), groups.candidate.runs.len()), (8, 8));
    assert_eq!(blocks(&groups), CounterChange::Fewer);
    let mean = groups.comparison.metrics.iter().find(|metric| metric.metric == "only.statement.execute.mean");
    let mean = mean.expect("a statement");
    assert!(mean.ratio.is_some_and(|ratio| ratio < 1.0) && mean.interval.is_some(), "{mean:?}");
    // The value of all runs together: their sums divided by their numbers.
    let stages = runs.iter().filter(|run| groups.base.runs.contains(&run.id)).map(|run| run.stages.last());
    let (sum, count) =
        stages.flatten().map(|stage| &stage.statements[0].execute_us).fold((0.0, 0), |sum, times| {
            (sum.0 + times.mean.expect("samples") * times.count as f64, sum.1 + times.count)
        });
    let expected = sum / f64::from(u32::try_from(count).expect("a few thousand"));
    assert!((mean.a.expect("a value") / expected - 1.0).abs() < 1e-6, "{mean:?}, {expected}");

    let page = done(place.dbdyno("compare old new").env("COLUMNS", "100")).output;
    assert!(page.starts_with("COMPARED  one: "), "{page}");
    assert!(page.contains("old: 8 runs"), "{page}");

    // One after the other is not by turns.
    let tag_all = |tag: &str, runs: &[Report]| {
        let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
        done(place.dbdyno("runs tag").args(ids).args(["--add", tag]));
    };
    tag_all("early", &runs[..8]);
    tag_all("late", &runs[8..]);
    let (_, in_turn) = compared(&place, &["early", "late"]);
    assert!(!in_turn.interleaved);
    assert!(in_turn.comparison.metrics.iter().all(|metric| metric.verdict == ChangeVerdict::Inconclusive));
    assert!(in_turn.comparison.answer.contains("took no turns"), "{}", in_turn.comparison.answer);
}

#[test]
fn runs_that_differ_in_what_they_must_share_are_refused_with_the_difference() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"kept\"\n[table.t]\nrows = 2000\n[table.t.column]\nid = { sequence = {} }\n[[transaction]]\nname = \"only\"\nstatements = [\"s\"]\n",
        "-- name: s :many\nSELECT count(*) FROM t;\n",
    )
    .file("schema.sql", "CREATE TABLE t (id bigint);\n");
    let load = |scale: &str| {
        let words = format!("load --replace --scale {scale}");
        done(&mut place.on(database.url(), &words));
    };
    let words = "run --clients 1 --duration 300ms --warmup 0s --pool-size 1";
    load("1");
    let base = place.report(database.url(), words);
    let pool = place.report(database.url(), &words.replace("--pool-size 1", "--pool-size 2"));
    let seed = place.report(database.url(), &format!("{words} --seed 8"));
    let rate = place.report(database.url(), &words.replace("--clients 1", "--rate 50"));
    let url = database.url();
    database.execute(&format!("ALTER DATABASE {} SET work_mem = '5MB'", database.name()));
    let settings = place.report(url, words);
    database.execute(&format!("ALTER DATABASE {} RESET work_mem", database.name()));
    database.execute("UPDATE t SET id = id WHERE id <= 1000; SELECT pg_stat_force_next_flush()");
    let state = place.report(url, words);
    load("2");
    let scale = place.report(url, words);
    let refused = |other: &Report, words: &[&str]| {
        let mut command = place.dbdyno("compare");
        let ended = Measured::from(&command.args([&base.id, &other.id]).output().expect("it runs"));
        assert_eq!(ended.code, Some(2), "{words:?}: {}{}", ended.output, ended.errors);
        for word in words {
            assert!(ended.errors.contains(word), "{word}: {}", ended.errors);
        }
    };
    refused(&pool, &["the pool of stage run (pool): a pool of 1, and a pool of 2 in the candidate"]);
    refused(&seed, &["the seed", "--across seed"]);
    refused(&rate, &["the load of stage run (load)", "--across load"]);
    refused(&settings, &["the setting work_mem (settings): 4MB, and 5MB in the candidate"]);
    refused(&state, &["what was changed in t since the load (state): 0 of 2000 rows, and 1000 of 2000 rows"]);
    refused(&scale, &["the scale of the data (scale): 1, and 2 in the candidate"]);
    let (code, accepted) = compared(&place, &[&base.id, &settings.id, "--across", "settings"]);
    assert_eq!(code, Some(0));
    assert!(accepted.unlike.iter().all(|unlike| unlike.id == "settings") && !accepted.unlike.is_empty());
    let (_, forced) = compared(&place, &[&base.id, &scale.id, "--force"]);
    assert!(forced.unlike.iter().any(|unlike| unlike.id == "scale"));
    for (arguments, words) in [
        (vec![base.id.as_str(), "nobody"], "no run `nobody`"),
        (vec![base.id.as_str(), "tag:nobody"], "no completed run has the tag `nobody`"),
        (vec![base.id.as_str(), base.id.as_str(), "--limit", "olny.p99 +5%"], "nothing of that name"),
        (vec![base.id.as_str(), base.id.as_str(), "--across", "colour"], "there are definitions"),
    ] {
        let mut command = place.dbdyno("compare");
        let ended = Measured::from(&command.args(&arguments).output().expect("it runs"));
        assert!(ended.code.is_some_and(|code| code == 1 || code == 2), "{arguments:?}");
        assert!(ended.errors.contains(words), "{arguments:?}: {}", ended.errors);
    }
}

#[test]
fn a_trend_names_the_run_after_which_a_figure_changed() {
    let (database, place) = one_row();
    // One measured run gives the form; the course of time is put in by export and import.
    let report = place.report(database.url(), &format!("{SHORT} --tag main"));
    let exported = done(&mut place.dbdyno("runs export --tag main")).output;
    let run: serde_json::Value = serde_json::from_str(&exported).expect("a line");
    let mut lines = String::new();
    for number in 0_u32..24 {
        let mut run = run.clone();
        // By a third slower from the thirteenth on, in a scatter of two per cent.
        let level = if number < 12 { 3_000.0 } else { 4_000.0 };
        let value = level * (1.0 + 0.02 * (f64::from(number * 7 % 5) - 2.0) / 2.0);
        run["run"]["summary"]["id"] = format!("made-{number:02}").into();
        let second = i64::from(number) * 86_400_000_000;
        run["run"]["summary"]["started_at_us"] = (1_700_000_000_000_000_i64 + second).into();
        run["run"]["metrics"]["response.p99"] = value.into();
        lines += &format!("{run}\n");
    }
    std::fs::write(place.path("made.jsonl"), lines).expect("a file");
    done(&mut place.dbdyno(&format!("runs delete {}", report.id)));
    done(place.dbdyno("runs import").arg(place.path("made.jsonl")));
    let found = done(&mut place.dbdyno("runs --trend p99 --tag main --format json")).output;
    let found: Trend = serde_json::from_str(&found).expect("a trend");
    assert_eq!((found.metric.as_str(), found.points.len()), ("response.p99", 24));
    let [change] = found.changes.as_slice() else { panic!("one change: {:?}", found.changes) };
    assert_eq!((change.after.as_str(), change.first.as_str()), ("made-11", "made-12"));
    assert!((change.after_median / change.before_median - 4.0 / 3.0).abs() < 0.03, "{change:?}");
    let page = done(&mut place.dbdyno("runs --trend response.p99 --tag main")).output;
    assert!(page.contains("after run made-11 it rose from 3.00 ms to 4.00 ms"), "{page}");
    let ended = Measured::from(&place.dbdyno("runs --trend onyl.p50").output().expect("it runs"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.errors.contains("did you mean `only.response.p50`?"), "{}", ended.errors);
}
