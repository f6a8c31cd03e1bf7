//! Pool studies on a real server: what is asked is checked before anything is measured, sizes are found, rates make a grid, and
//! full processors are told.

use dbdyno::model::{PoolStudy, Report, Verdict};

use crate::harness::Database;
use crate::place::{Measured, Place, assert_same};

fn study(report: &Report) -> &PoolStudy {
    report.study.as_ref().expect("a pool study")
}

fn sizes(study: &PoolStudy) -> Vec<u32> {
    study.sizes.iter().map(|point| point.size).collect()
}

#[test]
fn what_does_not_fit_together_is_said_before_anything_is_measured() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    for (words, said) in [
        ("--no-knee", &["--no-knee", "--rate"][..]),
        ("--sizes auto --rate 10 --no-knee", &["--sizes auto", "--no-knee"]),
        ("--sizes auto --clients 1..8", &["--sizes auto", "--clients"]),
        ("--sizes 2,many", &["--sizes", "`many` is no size", "auto"]),
        ("--rates 5,5", &["--rates", "5 twice"]),
        ("--rates 5,-1", &["--rates", "above 0"]),
        ("--rates 5,10 --rate 5", &["--rates", "--rate"]),
        ("--goal p99", &["--goal", "`<`"]),
        ("--goal p99<5", &["--goal", "`5` does not fit `response.p99`"]),
        ("--goal nobody.p99<5ms", &["--goal", "nobody"]),
        ("--current 0", &["--current"]),
        // 200 of the throwaway server, less three for superusers, and dbdyno's own.
        ("--sizes 2,120 --instances 2", &["240 connections", "for each instance", "max_connections"]),
    ] {
        let measured = place.measure(database.url(), &format!("pool {words}"));
        assert_eq!(measured.code, Some(2), "{words}: {}", measured.errors);
        for words_of in said {
            assert!(measured.errors.contains(words_of), "{words}: {words_of} is not in {}", measured.errors);
        }
    }
    assert!(!place.runs().exists() || std::fs::read_dir(place.runs()).expect("a folder").next().is_none());
}

#[test]
fn sizes_are_looked_for_and_then_measured_in_another_order() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.02)");
    let words = "pool --sizes auto --clients 4 --duration 500ms --warmup 0s --no-probes";
    let report = place.report(database.url(), words);
    // Four clients have no work for a fifth connection.
    assert_eq!(sizes(study(&report)), [1, 2, 3, 4]);
    let names: Vec<&str> = report.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names[..3], ["look at 1", "look at 2", "look at 4"]);
    assert_eq!(names[3], "look at 3", "between the knee so far and the size below");
    assert_eq!(report.stages.len(), 4 + 3 * 4, "{names:?}");
    assert!(study(&report).sizes.iter().all(|point| point.repeats == 3), "looks do not count");
    let law = study(&report).law.as_ref().expect("four sizes");
    // 20 ms each, and whatever a busy machine adds.
    assert!((10.0..51.0).contains(&law.per_s_of_one.mean), "{law:?}");
    let json = place.dbdyno("report --format json").output().expect("it runs");
    assert_same(&report, &Measured::from(&json).report());
}

#[test]
fn rates_make_a_grid_with_the_frontier_of_the_goal() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    let words = "pool --sizes 1,4 --rates 30,10 --no-knee --repeats 2 --duration 1s --warmup 0s --no-probes --instances 2 \
                 --current 2";
    let mut command = place.on(database.url(), words);
    // One connection of each instance does 20 a second at best, and two instances share the rate.
    command.args(["--goal", "pool_wait.mean < 1s", "--json", "-"]);
    let measured = Measured::from(&command.output().expect("it runs"));
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let study = study(&report);
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(sizes(study), [1, 2, 4], "the size in use is measured as well");
    let rates: Vec<Option<f64>> = study.passes.iter().map(|pass| pass.rate_per_s).collect();
    assert_eq!(rates, [Some(10.0), Some(30.0)]);
    for pass in &study.passes {
        assert_eq!(pass.points.iter().map(|point| point.repeats).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(pass.points.iter().all(|point| point.goal.is_some() && point.queue.is_some()));
        assert_eq!(pass.smallest_that_keeps_the_goal, Some(1));
    }
    assert_eq!((study.instances, study.current, study.knee), (2, Some(2), None));
    let recommended = study.recommended.as_ref().expect("every size keeps it");
    assert_eq!((recommended.size, recommended.connections), (1, 2));
    assert!(recommended.against.as_ref().is_some_and(|against| against.size == 2 && against.is_current));
    let words = &study.recommendation;
    assert!(words.contains("1 per instance, 2 connections in all for 2 instances of the "), "{words}");
    assert!(words.contains("against the 2 in use today"), "{words}");
    let by_instance = report.stages.iter().map(|stage| stage.pool.by_instance.len());
    assert!(by_instance.into_iter().all(|instances| instances == 2));

    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("PASS  one: pool_wait.mean < 1s is kept by a pool of"), "{page}");
    for part in ["POOL_WAIT.MEAN BY SIZE AND RATE", "10/s", "30/s", "▶", "RECOMMENDATION"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // A goal that no size can keep fails.
    let mut command =
        place.on(database.url(), "pool --sizes 1,2 --rate 5 --no-knee --repeats 1 --duration 1s --warmup 0s");
    command.args(["--goal", "response.mean < 5ms"]);
    let broken = Measured::from(&command.output().expect("it runs"));
    assert_eq!(broken.code, Some(3), "{} {}", broken.output, broken.errors);
    assert!(
        broken.output.contains("No size of those measured keeps response.mean < 5ms at 5/s"),
        "{}",
        broken.output
    );
}

/// Two arrangements of generator and server on the same processors.
#[test]
fn a_read_only_mix_in_memory_stops_at_the_processors_and_cores_apart_change_the_note() {
    let place = Place::one_statement("SELECT sum(i) FROM generate_series(1, 20000) AS i");
    let measured = |words: &str| -> Report {
        let words = format!(
            "pool --sizes 1,2,8 --clients 8 --duration 1200ms --warmup 0s --probe-interval 50ms {words}"
        );
        place.report("local", &words)
    };
    // Beside other load eight sessions get more of the processors than two, so that there may be no knee; where there is one, it is
    // for want of them.
    let is_for_want_of_processors = |report: &Report| {
        let largest = study(report).sizes.last().expect("three sizes");
        let running = largest.waits.iter().find(|of| of.class == "cpu").map_or(0.0, |of| of.share);
        assert!(running > 0.8, "eight sessions were seen running: {:?}", largest.waits);
        if study(report).knee.is_some() {
            let reason = study(report).reason.as_ref().expect("six more sessions");
            assert_eq!((reason.class.as_str(), reason.event.as_str()), ("cpu", "CPU"));
            let words = &study(report).recommendation;
            assert!(words.contains("queue for the processor"), "{words}");
        }
    };
    let shared = measured("");
    is_for_want_of_processors(&shared);
    assert!(shared.findings.iter().any(|finding| finding.id == "host-full"), "{:?}", shared.findings);
    let note = study(&shared).validity.as_ref().expect("on one host");
    assert!(note.contains("generator and server share them"), "{note}");
    assert!(
        study(&shared).recommendation.contains("queue for the processor"),
        "{}",
        study(&shared).recommendation
    );

    let apart = measured("--client-cpus 0 --server-cpus 1");
    let note = study(&apart).validity.as_ref().expect("on one host");
    assert!(note.contains("processors of their own (0 and 1)"), "{note}");
    assert!(apart.findings.iter().all(|finding| finding.id != "host-full"), "{:?}", apart.findings);
    is_for_want_of_processors(&apart);
}
