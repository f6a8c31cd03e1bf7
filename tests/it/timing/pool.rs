//! A known queue on a real server: the recommended size is the one that theory gives, or its neighbour. And a row that all want: the
//! reason of the knee is the one that the test made.

use std::path::Path;

use dbdyno::model::{PoolStudy, Report};

use crate::harness::{Database, dbdyno};
use crate::place::{Measured, Place, measured};

fn study(report: &Report) -> &PoolStudy {
    report.study.as_ref().expect("a pool study")
}

/// The mean wait of M/M/c in milliseconds (Gross and Harris, "Fundamentals of Queueing Theory", section 2.3).
fn wait_ms(servers: u32, load: f64, service_ms: f64) -> f64 {
    let c = f64::from(servers);
    let term = |n: u32| (1..=n).fold(1.0, |product, k| product * load / f64::from(k));
    let last = term(servers) * c / (c - load);
    last / ((0..servers).map(term).sum::<f64>() + last) * service_ms / (c - load)
}

#[test]
fn the_size_of_a_known_queue_is_the_smallest_that_erlang_says_or_its_neighbour() {
    const SIZES: [u32; 5] = [2, 4, 5, 6, 16];
    const GOAL_MS: f64 = 5.0;
    let database = Database::empty();
    let place = Place::new(
        "name = \"naps\"\n[[transaction]]\nname = \"only\"\nstatements = [\"nap\"]\n\
         [transaction.parameter]\nnap_s = { exponential = { mean = 0.02, scale = 6 } }\n",
        "-- name: nap :many\nSELECT pg_sleep(:nap_s);\n",
    );
    // Three connections are busy all the time: two cannot do it.
    let words = "pool --sizes 2,4,5,6,16 --rate 150 --arrivals poisson --no-knee --repeats 1 --duration 2s --warmup 0s \
                 --no-probes";
    let mut command = place.on(database.url(), words);
    command.args(["--goal", "pool_wait.mean < 5ms", "--json", "-"]);
    let measured = Measured::from(&command.output().expect("it runs"));
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

/// The shop's checkout alone, with another draw of its products; the payment takes 20 ms, so that a busy machine does not decide
/// how long the rows are locked.
fn checkout(product: &str) -> Place {
    let shop = Path::new("workloads/shop");
    let read = |name: &str| std::fs::read_to_string(shop.join(name)).expect("the shop's files");
    let document = read("workload.toml");
    let tables = &document[..document.find("[[transaction]]").expect("transactions follow the tables")];
    let checkout = document.find("[[transaction]]\nname = \"checkout\"").expect("the shop has a checkout");
    let checkout = &document[checkout..];
    let next = checkout.match_indices("[[transaction]]").nth(1).expect("another one follows").0;
    let checkout = &checkout[..next];
    let mut checkout = checkout.replace("hold = \"2ms\"", "hold = \"20ms\"");
    for name in ["product_a", "product_b", "product_c"] {
        let drawn = format!("{name} = {{ key = {{ table = \"products\", zipf = 1.0 }} }}");
        assert!(checkout.contains(&drawn), "{checkout}");
        checkout = checkout.replace(&drawn, &format!("{name} = {product}"));
    }
    // One warehouse: then a product is one row of the stock.
    let warehouses = "warehouse_id = { weighted = { 1 = 70, 2 = 30 } }";
    assert!(checkout.contains(warehouses), "{checkout}");
    checkout = checkout.replace(warehouses, "warehouse_id = { uniform = [1, 1] }");
    // Only the statements that it uses: the others would be unused.
    let used: Vec<&str> =
        checkout.lines().filter_map(|line| line.strip_prefix("statement = \"")?.strip_suffix('"')).collect();
    let queries = read("queries.sql");
    let is_used = |query: &&str| used.iter().any(|name| query.starts_with(&format!("{name} ")));
    let queries: Vec<&str> = queries.split("-- name: ").filter(is_used).collect();
    let queries = format!("-- name: {}", queries.join("-- name: "));
    let place = Place::new(&format!("{tables}{checkout}"), &queries);
    ["schema.sql", "finish.sql"].into_iter().fold(place, |place, name| place.file(name, &read(name)))
}

#[test]
fn a_hot_row_is_named_as_the_reason_and_spread_over_many_it_is_none() {
    let (hot, spread) = (checkout("{ uniform = [7, 7] }"), checkout("{ key = { table = \"products\" } }"));
    let database = Database::empty();
    let mut load = dbdyno();
    load.args(["load", "--scale", "0.05", "-t", database.url(), "-w"]).arg(hot.workload());
    let loaded = Measured::from(&load.output().expect("it runs"));
    assert_eq!(loaded.code, Some(0), "{}", loaded.errors);
    let words = "pool --sizes 1,4,16 --clients 32 --duration 1s --warmup 0s --probe-interval 50ms";
    let of_hot = hot.report(database.url(), words);
    let hot = study(&of_hot);
    // While one holds the row others can do what comes before it: of four there is always one who waits for it.
    let knee = hot.knee.unwrap_or_else(|| panic!("one row is one queue: {}", hot.recommendation));
    assert!(knee <= 4, "{}", hot.recommendation);
    let reason = hot.reason.as_ref().expect("sixteen sessions were seen waiting");
    assert_eq!((reason.class.as_str(), reason.waiter.as_deref()), ("lock", Some("checkout.lock_stock")));
    assert_eq!(reason.relation.as_deref(), Some("stock"), "{reason:?}");
    assert!(reason.of_a_row && reason.sessions_to > 8.0, "{reason:?}");
    assert!(reason.blocker.as_ref().is_some_and(|blocker| blocker.starts_with("checkout")), "{reason:?}");
    let said = "queue on a row of `stock` in `checkout.lock_stock`";
    assert!(hot.recommendation.contains(said), "{}", hot.recommendation);

    let of_spread = spread.report(database.url(), words);
    let spread = study(&of_spread);
    assert!(spread.knee.is_none_or(|spread| spread > knee), "{}", spread.recommendation);
    assert!(spread.reason.as_ref().is_none_or(|reason| reason.class != "lock"), "{:?}", spread.reason);
    // 20 of some 25 ms are the payment: sixteen of them at once do far more than four.
    let gain = |study: &PoolStudy| study.sizes[2].per_s / study.sizes[1].per_s;
    assert!(gain(spread) > 1.5 * gain(hot), "{} {}", gain(spread), gain(hot));
    // The application holds connections for the payment: that is seen from the client's stamps.
    let held = spread.sizes[0].estimates.as_ref().and_then(|of| of.held_unused_fraction).expect("held");
    assert!(held.mean > 0.15, "{held:?}");
}

/// A few transactions of more than a thousand keep their connection for three seconds: for nothing, or for what the server is asked.
#[test]
fn a_connection_that_is_kept_for_nothing_is_suspected_to_leak_and_one_with_work_is_not() {
    let database = Database::empty();
    let with_rare = |step: &str| {
        let place = Place::new(
            &format!(
                "name = \"leaky\"\n[[transaction]]\nname = \"quick\"\nweight = 199\nstatements = [\"one\"]\n\
                 [[transaction]]\nname = \"rare\"\nweight = 1\n[[transaction.step]]\nstatement = \"one\"\n\
                 [[transaction.step]]\n{step}\n"
            ),
            &format!(
                "-- name: one :many\nSELECT 1;\n{}",
                if step.contains("nap") { "-- name: nap :many\nSELECT pg_sleep(3);\n" } else { "" }
            ),
        );
        let words = "run --rate 200 --pool-size 16 --duration 6s --warmup 0s --no-probes";
        let report = place.report(database.url(), words);
        let stage = measured(&report);
        let rare = stage.transactions.iter().find(|of| of.name == "rare").expect("it is in the mix");
        assert!(rare.ok > 0 && rare.hold_us.max.is_some_and(|us| us >= 3_000_000), "{rare:?}");
        report.findings.into_iter().find(|finding| finding.id == "leak-suspected")
    };
    let leak = with_rare("statement = \"one\"\nhold = \"3s\"").expect("three seconds for nothing");
    assert!(leak.title.contains("a connection of rare"), "{leak:?}");
    assert!(leak.evidence.contains("where 99 % of all are given back within"), "{leak:?}");
    assert!(leak.evidence.contains("the longest request of rare took"), "{leak:?}");
    let worked = with_rare("statement = \"nap\"");
    assert!(worked.is_none(), "{worked:?}");
}
