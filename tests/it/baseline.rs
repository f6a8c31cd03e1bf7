//! Budgets against other runs: kept, broken, and what nobody can tell.

use dbdyno::model::{BudgetResult, Verdict};

use crate::harness::Database;
use crate::place::{Measured, Place};

const RUN: &str = "run --clients 1 --duration 1s --warmup 0s --pool-size 1 --no-probes --json -";

fn run(place: &Place, database: &Database, more: &[&str]) -> Measured {
    Measured::from(&place.on(database.url(), RUN).args(more).output().expect("the program can be started"))
}

fn only(measured: &Measured) -> BudgetResult {
    let budgets = measured.report().budgets;
    let [budget] = budgets.as_slice() else { panic!("not one budget: {budgets:?}") };
    budget.clone()
}

#[test]
fn a_run_is_held_against_the_runs_of_a_tag() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.02)");
    let base = run(&place, &database, &["--tag", "main"]);
    assert_eq!(base.code, Some(0), "{}", base.errors);

    // One run says nothing of how far runs lie apart.
    let one = run(&place, &database, &["--budget", "throughput > -20% of main", "--tag", "main"]);
    assert_eq!(one.code, Some(4), "{}", one.errors);
    assert!(only(&one).reason.is_some_and(|reason| reason.contains("at least 3 runs")), "{:?}", only(&one));
    assert_eq!(run(&place, &database, &["--tag", "main"]).code, Some(0));

    // Three runs of naps of 20 ms, and a fourth: far within half of each other on any machine.
    let kept = run(&place, &database, &["--budget", "throughput > -50%", "--baseline", "main"]);
    assert_eq!(kept.code, Some(0), "{} {:?}", kept.errors, only(&kept));
    let budget = only(&kept);
    assert_eq!((budget.metric.as_str(), budget.limit.as_str()), ("throughput", "> -50% of main"));
    assert_eq!((budget.verdict, budget.stage.as_str()), (Verdict::Pass, "run"));
    // The report of a stored run is made of its journal alone.
    let again = Measured::from(&place.dbdyno("report --format json").output().expect("it runs")).report();
    assert_eq!(again.budgets, [budget]);

    // Naps of ten times the length are another workload: that is what is compared, and it must be said.
    let place = place.file("queries.sql", "-- name: statement :many\nSELECT pg_sleep(0.2);\n");
    let limit = ["--budget", "throughput > -50%", "--baseline", "main"];
    let other = run(&place, &database, &limit);
    assert_eq!(other.code, Some(4), "{}", other.errors);
    assert!(
        only(&other).reason.is_some_and(|reason| reason.contains("--across workload")),
        "{:?}",
        only(&other)
    );
    let broken = run(&place, &database, &[&limit[..], &["--across", "workload"]].concat());
    assert_eq!(broken.code, Some(3), "{} {:?}", broken.errors, only(&broken));
}

#[test]
fn a_workload_says_what_its_runs_are_held_against() {
    let database = Database::empty();
    let workload = "name = \"one\"\n[[transaction]]\nname = \"only\"\nstatements = [\"statement\"]\n\
         [budget]\n\"throughput\" = \"> -50% of main\"\n\"p50\" = \"< +200%\"\n";
    let place = Place::new(workload, "-- name: statement :many\nSELECT pg_sleep(0.02);\n");
    let first = run(&place, &database, &["--tag", "main"]);
    assert_eq!(first.code, Some(4), "{}", first.errors);
    let budget = only(&first);
    assert_eq!((budget.metric.as_str(), budget.limit.as_str()), ("throughput", "> -50% of main"));
    assert!(budget.reason.is_some_and(|reason| reason.contains("no run is called main yet")));
    assert!(
        first.errors.contains("note: the budget `response.p50 < +200%`")
            && first.errors.contains("--baseline"),
        "{}",
        first.errors
    );
    for _ in 0..2 {
        assert_eq!(run(&place, &database, &["--tag", "main"]).code, Some(4), "three runs are needed");
    }
    let held = run(&place, &database, &["--baseline", "main"]);
    assert_eq!(held.code, Some(0), "{}", held.errors);
    let limits: Vec<(String, Verdict)> =
        held.report().budgets.into_iter().map(|budget| (budget.limit, budget.verdict)).collect();
    let passed = |limit: &str| (limit.to_owned(), Verdict::Pass);
    assert_eq!(limits, [passed("> -50% of main"), passed("< +200% of main")]);
}

#[test]
fn a_baseline_that_there_is_not_is_refused_before_anything_is_measured() {
    let place = Place::one_statement("SELECT 1");
    let url = "postgres://nobody@127.0.0.1:1/none";
    for (more, named) in [
        (&["--budget", "p99 < +10%"][..], &["--baseline"][..]),
        (&["--budget", "p99 < +10% of nobody"], &["nobody"]),
        (&["--baseline", "main"], &["--baseline", "--budget"]),
        (&["--budget", "p99 > +10% of main"], &["< +10%"]),
        (&["--budget", "onl.p99 < +10% of main"], &["did you mean `only`"]),
        (&["--budget", "p99 < +10%", "--baseline", "main", "--across", "weather"], &["weather", "settings"]),
    ] {
        let ended = Measured::from(&place.on(url, RUN).args(more).output().expect("it can be started"));
        assert!(matches!(ended.code, Some(1 | 2)), "{more:?}: {:?} {}", ended.code, ended.errors);
        for name in named {
            assert!(ended.errors.contains(name), "{more:?}: {}", ended.errors);
        }
    }
    let study = place.on(url, "pool --clients 1 --sizes 1").args(["--budget", "p99 < +10% of main"]).output();
    let study = Measured::from(&study.expect("it can be started"));
    assert_eq!(study.code, Some(2), "{}", study.errors);
    assert!(study.errors.contains("dbdyno run"), "{}", study.errors);
}
