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
        ("--goal p99<5ms,errors<2", &["--goal 'errors<2'", "a share"]),
        ("--goal p99<5ms --goal nobody.p99<5ms", &["--goal 'nobody.p99<5ms'", "nobody"]),
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
    // So long that a stall of a busy machine leaves each stage some that ended: of none there is no curve.
    let words = "pool --sizes auto --clients 4 --duration 700ms --warmup 0s --no-probes";
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
    let words = "pool --sizes 1,4 --rates 20,10 --no-knee --repeats 2 --duration 500ms --warmup 0s --no-probes --instances 2 \
                 --current 2";
    let mut command = place.on(database.url(), words);
    // One connection of each instance does 20 a second at best, and two instances share the rate: it is busy half of the time at most.
    command.args(["--goal", "pool_wait.mean < 1s", "--json", "-"]);
    let measured = Measured::from(&command.output().expect("it runs"));
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let study = study(&report);
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(sizes(study), [1, 2, 4], "the size in use is measured as well");
    let rates: Vec<Option<f64>> = study.passes.iter().map(|pass| pass.rate_per_s).collect();
    assert_eq!(rates, [Some(10.0), Some(20.0)]);
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
    assert!(
        words.contains("1 per instance, 2 connections in all for 2 instances (the server has room for "),
        "{words}"
    );
    assert!(words.contains("compared with the 2 in use today expect 2 connections fewer"), "{words}");
    let by_instance = report.stages.iter().map(|stage| stage.pool.by_instance.len());
    assert!(by_instance.into_iter().all(|instances| instances == 2));

    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("PASS  one: pool_wait.mean < 1s is kept by a pool of"), "{page}");
    for part in ["POOL_WAIT.MEAN BY SIZE AND RATE", "10/s", "20/s", "▶", "RECOMMENDATION"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // A goal that no size can keep fails.
    let mut command = place
        .on(database.url(), "pool --sizes 1,2 --rate 5 --no-knee --repeats 1 --duration 500ms --warmup 0s");
    command.args(["--goal", "response.mean < 5ms"]);
    let broken = Measured::from(&command.output().expect("it runs"));
    assert_eq!(broken.code, Some(3), "{} {}", broken.output, broken.errors);
    assert!(
        broken.output.contains("No size of those measured keeps response.mean < 5ms at 5/s"),
        "{}",
        broken.output
    );
}

#[test]
fn several_goals_are_kept_by_the_size_that_keeps_each() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.05)");
    // Thirty a second, each with a connection for 50 ms: one can do twenty, so that its queue grows for as long as there are arrivals.
    let words = "pool --sizes 1,4 --rate 30 --no-knee --repeats 1 --duration 2s --warmup 0s --no-probes --goal pool_wait.mean<150ms \
                 --goal errors<1%,service.mean<10s";
    let report = place.report(database.url(), words);
    let study = study(&report);
    let metrics: Vec<&str> = study.goals.iter().map(|goal| goal.metric.as_str()).collect();
    assert_eq!(metrics, ["pool_wait.mean", "errors.rate", "service.mean"]);
    assert!(study.goals.iter().all(|goal| goal.verdict == Verdict::Pass), "{:?}", study.goals);
    assert_eq!(report.verdict, Verdict::Pass);
    let verdicts =
        |size: usize| -> Vec<Verdict> { study.sizes[size].goals.iter().map(|goal| goal.verdict).collect() };
    assert_eq!(verdicts(0), [Verdict::Fail, Verdict::Pass, Verdict::Pass], "one is too few");
    assert_eq!(verdicts(1), [Verdict::Pass; 3]);
    assert_eq!(study.recommended.as_ref().map(|of| of.size), Some(4), "{}", study.recommendation);
    let words =
        "keeps pool_wait.mean < 150ms, errors.rate < 1% and service.mean < 10s at 30/s (pool_wait.mean ";
    assert!(study.recommendation.contains(words), "{}", study.recommendation);
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.starts_with("PASS  one: all 3 goals are kept by a pool of 4 connections"), "{page}");
}

/// Of three clients the first of two instances has two, and with one connection each, one of them always waits; of four each has two.
#[test]
fn load_that_falls_unevenly_on_instances_is_told_and_an_even_one_is_not() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT pg_sleep(0.02)");
    let of_clients = |clients: u32| {
        let words = format!(
            "run --clients {clients} --instances 2 --pool-size 1 --duration 1s --warmup 0s --no-probes"
        );
        let report = place.report(database.url(), &words);
        let stage = crate::place::measured(&report);
        let shares: Vec<f64> = stage.pool.by_instance.iter().map(|of| of.saturated_fraction).collect();
        let uneven = report.findings.into_iter().find(|finding| finding.id == "uneven-instances");
        (shares, uneven)
    };
    let (shares, uneven) = of_clients(3);
    // But for the moments in which a connection changes hands.
    assert!(shares.len() == 2 && shares[0] > 0.8 && shares[1] < 0.2, "{shares:?}");
    let uneven = uneven.unwrap_or_else(|| panic!("{shares:?}"));
    assert!(uneven.evidence.contains("one of 2 instances had all connections busy"), "{uneven:?}");
    let (shares, uneven) = of_clients(4);
    assert!(uneven.is_none() && shares.iter().all(|share| *share > 0.8), "{shares:?} {uneven:?}");
}

/// Whatever the machine: the server itself waits up to a second before it lets a session in.
#[test]
fn connections_that_take_long_to_make_are_told() {
    let database = Database::empty();
    let place = Place::one_statement("SELECT 1");
    let with = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{with}options=-c%20post_auth_delay%3D1", database.url());
    let words = "run --clients 1 --pool-size 1 --churn 200ms --duration 1500ms --warmup 0s --no-probes";
    let report = place.report(&url, words);
    let pool = &crate::place::measured(&report).pool;
    // A signal, such as every session gets now and then, ends the server's pause before its time.
    assert!(pool.creates > 0 && pool.create_us.mean.is_some_and(|us| us > 3e5), "{pool:?}");
    let slow = report.findings.iter().find(|finding| finding.id == "slow-creates");
    assert!(slow.is_some_and(|slow| slow.evidence.contains("of all response time")), "{:?}", report.findings);
}

/// A transaction holds its connection for 20 ms and asks for nothing meanwhile; eight clients share two connections.
#[test]
fn connections_that_the_application_holds_for_nothing_are_told() {
    let database = Database::empty();
    let place = Place::new(
        "name = \"holder\"\n[[transaction]]\nname = \"only\"\n[[transaction.step]]\nstatement = \"one\"\n\
         [[transaction.step]]\nstatement = \"one\"\nhold = \"20ms\"\n",
        "-- name: one :many\nSELECT 1;\n",
    );
    let words = "pool --sizes 1,2 --clients 8 --repeats 1 --duration 1s --warmup 0s --no-probes";
    let report = place.report(database.url(), words);
    let held = report.findings.iter().find(|finding| finding.id == "held-by-application");
    let held = held.unwrap_or_else(|| panic!("{:?}", report.findings));
    assert!(held.evidence.contains("no request was under way"), "{held:?}");
    for point in &study(&report).sizes {
        let unused = point.estimates.as_ref().and_then(|of| of.held_unused_fraction).expect("stamps");
        // 20 ms of a little more, which is much more on a busy machine; nothing at all where no stamps are taken.
        assert!(unused.mean > 0.3, "{unused:?}");
    }
}

/// Two arrangements of generator and server on the same processors.
#[test]
fn a_read_only_mix_in_memory_stops_at_the_processors_and_cores_apart_change_the_note() {
    // Two megabytes, all of which shared_buffers hold.
    let place = Place::new(
        "name = \"numbers\"\n[table.numbers]\nrows = 50_000\n[table.numbers.column]\nn = { sequence = {} }\n\
         [[transaction]]\nname = \"sum\"\nweight = 3\nstatements = [\"sum_of_all\"]\n\
         [[transaction]]\nname = \"look\"\nweight = 1\nstatements = [\"one_of_all\"]\n[transaction.parameter]\n\
         n = { uniform = [1, 50000] }\n",
        "-- name: sum_of_all :one\nSELECT sum(n) AS total FROM numbers;\n\
         -- name: one_of_all :one\nSELECT n FROM numbers WHERE n = :n;\n",
    )
    .file("schema.sql", "CREATE TABLE numbers (n int PRIMARY KEY);\n");
    let measured = |words: &str| -> Report {
        let words = format!("pool --clients 8 --duration 600ms --warmup 0s --probe-interval 30ms {words}");
        place.report("local", &words)
    };
    // Beside other load eight sessions get more of the processors than two, so that there may be no knee; where there is one, it is
    // for want of them.
    let is_for_want_of_processors = |report: &Report| {
        let largest = study(report).sizes.last().expect("several sizes");
        let running = largest.waits.iter().find(|of| of.class == "cpu").map_or(0.0, |of| of.share);
        assert!(running > 0.8, "eight sessions were seen running: {:?}", largest.waits);
        if study(report).knee.is_some() {
            let reason = study(report).reason.as_ref().expect("six more sessions");
            assert_eq!((reason.class.as_str(), reason.event.as_str()), ("cpu", "CPU"));
            let words = &study(report).recommendation;
            assert!(words.contains("queue for the processor"), "{words}");
        }
    };
    let shared = measured("--sizes 1,2,8");
    is_for_want_of_processors(&shared);
    assert!(shared.findings.iter().any(|finding| finding.id == "host-full"), "{:?}", shared.findings);
    let note = study(&shared).validity.as_ref().expect("on one host");
    assert!(note.contains("generator and server share them"), "{note}");
    // One measurement of each is enough for what the note says.
    let apart = measured("--sizes 2,8 --repeats 1 --client-cpus 0 --server-cpus 1");
    let note = study(&apart).validity.as_ref().expect("on one host");
    assert!(note.contains("processors of their own (0 and 1)"), "{note}");
    assert!(apart.findings.iter().all(|finding| finding.id != "host-full"), "{:?}", apart.findings);
    is_for_want_of_processors(&apart);
}
