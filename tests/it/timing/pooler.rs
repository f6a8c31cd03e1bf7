//! Where a transaction's time goes when two pools stand in a row: our own, and PgBouncer's.

use super::assert_near;
use crate::place::{Measured, Place, measured};

#[test]
fn our_pool_the_pooler_and_the_server_account_for_the_whole_response() {
    let place = Place::one_statement("SELECT pg_sleep(0.01)");
    let words =
        "run --clients 64 --pool-size 16 --pooler pgbouncer --pooler-pool 4 --warmup 1s --duration 4s";
    let report = place.report("local", words);
    let stage = measured(&report);
    assert_eq!(stage.accounting.failed, 0, "{:?}", stage.transactions[0].errors);
    let pooler = stage.pooler.as_ref().expect("its console was asked");
    let work = pooler.work.as_ref().expect("several looks");
    let account = work.account.as_ref().expect("nobody else used it");

    let response = stage.response_us.mean.expect("samples");
    let parts = stage.pool.wait_us.mean.expect("samples") + work.wait_us_mean + work.query_us_mean;
    assert_near("own pool wait + the pooler's wait + its time in queries", parts, response, 0.10);
    assert!(account.rest_us.abs() < 0.10 * response, "{account:?}");

    // Three queues of the same shape: 16 sessions on 4 server connections wait three times as long as they are served, and 64
    // clients on 16 sessions wait three times as long as all of that. Means of counts that a closed loop holds constant.
    assert_near("waiting in the pooler ÷ in queries", work.wait_us_mean / work.query_us_mean, 3.0, 0.15);
    let session = work.wait_us_mean + work.query_us_mean;
    assert_near("waiting for a session ÷ in a session", account.pool_wait_us / session, 3.0, 0.15);
    assert_near("clients that wait in the pooler", pooler.clients_waiting_mean, 12.0, 0.15);
    assert_near("server connections in use", pooler.servers_active_mean, 4.0, 0.10);
    assert_eq!(pooler.servers_max, 4);
    assert_near("transactions by both counts", work.transactions_per_s, stage.achieved_per_s, 0.05);
}

/// Two connections to the server, however many sessions: what the third one and those behind it wait for is told, although no server
/// sees them.
#[test]
fn a_pool_that_is_larger_than_what_the_pooler_has_only_queues_there() {
    let place = Place::one_statement("SELECT pg_sleep(0.02)");
    let words = "pool --sizes 1,2,8 --clients 8 --duration 1s --warmup 0s --pooler pgbouncer --pooler-pool 2";
    let report = place.report("local", words);
    let study = report.study.as_ref().expect("a pool study");
    assert_eq!(study.knee, Some(2), "{}", study.recommendation);
    let reason = study.reason.as_ref().expect("six more sessions");
    assert_eq!(reason.class, "pooler", "{reason:?}");
    assert_near("sessions that wait in the pooler", reason.sessions_to, 6.0, 0.15);
    let said = "Beyond 2 more connections only wait in the pooler for one of its 2 server connections";
    assert!(study.recommendation.contains(said), "{}", study.recommendation);
    let page = Measured::from(&place.dbdyno("report").output().expect("it runs")).output;
    assert!(page.contains("queue of the pooler: "), "{page}");
}
