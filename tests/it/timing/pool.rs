//! A known queue on a real server: the recommended size is the one that theory gives, or its neighbour.

use crate::harness::Database;
use crate::place::Place;

/// The mean wait of M/M/c in milliseconds (Gross and Harris, "Fundamentals of Queueing Theory", section 2.3).
fn wait_ms(servers: u32, load: f64, service_ms: f64) -> f64 {
    let c = f64::from(servers);
    let term = |n: u32| (1..=n).fold(1.0, |product, k| product * load / f64::from(k));
    let last = term(servers) * c / (c - load);
    last / ((0..servers).map(term).sum::<f64>() + last) * service_ms / (c - load)
}

#[test]
fn the_size_of_a_known_queue_is_the_smallest_that_erlang_says_or_its_neighbour() {
    const SIZES: [u32; 7] = [2, 3, 4, 5, 6, 8, 16];
    const GOAL_MS: f64 = 5.0;
    let database = Database::empty();
    let place = Place::new(
        "name = \"naps\"\n[[transaction]]\nname = \"only\"\nstatements = [\"nap\"]\n\
         [transaction.parameter]\nnap_s = { exponential = { mean = 0.02, scale = 6 } }\n",
        "-- name: nap :many\nSELECT pg_sleep(:nap_s);\n",
    );
    // Three connections are busy all the time: two cannot do it.
    let words = "pool --sizes 2,3,4,5,6,8,16 --rate 150 --arrivals poisson --no-knee --repeats 1 --duration 2500ms --warmup 0s \
                 --no-probes";
    let mut command = place.on(database.url(), words);
    command.args(["--goal", "pool_wait.mean < 5ms", "--json", "-"]);
    let measured = crate::place::Measured::from(&command.output().expect("it runs"));
    assert_eq!(measured.code, Some(0), "{}", measured.errors);
    let report = measured.report();
    let study = report.study.as_ref().expect("a pool study");
    let recommended = study.recommended.as_ref().expect("sixteen keep it").size;
    let keeps = |size: &u32| f64::from(*size) > 3.0 && wait_ms(*size, 3.0, 20.0) < GOAL_MS;
    let expected = SIZES.iter().position(keeps).expect("sixteen keep it");
    let found = SIZES.iter().position(|size| *size == recommended).expect("one of those measured");
    assert!(found.abs_diff(expected) <= 1, "{recommended}: {}", study.recommendation);
    let two = &study.sizes[0];
    assert!(two.queue.is_some_and(|queue| queue.utilisation > 1.0 && queue.wait_us.is_none()), "{two:?}");
    // Whatever the machine adds to each nap, more connections do not make a nap longer.
    let last = study.sizes.last().and_then(|point| point.queue).expect("an open loop");
    assert!((0.7..1.4).contains(&last.service_ratio), "{last:?}");
}
