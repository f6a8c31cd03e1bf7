//! The probes against a real server: who blocks whom, what the server counts, and what a poor role is told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbdyno::db::Target;
use dbdyno::probe::capabilities::{self, Presence};
use dbdyno::probe::{ProbePlan, Probed, Probes};
use dbdyno::record::entry::Edge;
use dbdyno::record::observation::{ActivitySummary, Counters, LockEpisode, Observation, Session, Who};
use dbdyno::time::Epoch;
use dbdyno::units::StatementId;

use crate::harness::{Database, runtime, server, wait_until};

const POOL: &str = "dbdyno pool";
const TAKE: &str = "/*dbdyno:pay.take*/ UPDATE stock SET amount = amount - 1 WHERE id = $1";
const LOOK: &str = "/*dbdyno:browse.look*/ SELECT amount FROM stock WHERE id = $1";

fn stock() -> Database {
    Database::from_template("probe_stock", |database| {
        database.execute(
            "CREATE TABLE stock (id int PRIMARY KEY, amount int NOT NULL);
             INSERT INTO stock SELECT i, 100 FROM generate_series(1, 10) AS i",
        );
    })
}

fn plan(texts: &[&str]) -> ProbePlan {
    let tag = |text: &str| dbdyno::sql::tag::tag_of(text).expect("the text is tagged").to_owned();
    let numbered = texts.iter().enumerate();
    ProbePlan {
        values_apart: true,
        statements: numbered
            .map(|(index, text)| (StatementId::from_index(index), tag(text), (*text).to_owned()))
            .collect(),
        interval: Duration::from_millis(50),
        ..ProbePlan::default()
    }
}

/// What the probes saw while `scene` was played on a thread of its own.
fn observe(url: &str, plan: ProbePlan, scene: impl FnOnce() + Send + 'static) -> Vec<Probed> {
    let target = Target::parse(url).expect("the harness gives a URL");
    runtime().block_on(async {
        let epoch = Epoch::begin();
        let (out, mut readings) = tokio::sync::mpsc::channel(1000);
        let probes = Probes::start(&target, plan, epoch.clock(), epoch.unix_us(), out)
            .await
            .expect("the probes connect");
        let mut seen = vec![probes.read_edge(Edge::Begin).await.expect("the server is looked at")];
        tokio::task::spawn_blocking(scene).await.expect("the scene plays to its end");
        seen.push(probes.read_edge(Edge::End).await.expect("the server is looked at"));
        probes.stop().await;
        while let Ok(probed) = readings.try_recv() {
            seen.push(probed);
        }
        seen
    })
}

fn observations(seen: &[Probed]) -> impl Iterator<Item = &Observation> {
    seen.iter().filter_map(|probed| probed.reading.seen.as_ref().ok())
}

fn episodes(seen: &[Probed]) -> Vec<LockEpisode> {
    observations(seen)
        .filter_map(|observation| match observation {
            Observation::Locks(episodes) => Some(episodes.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

fn activity(seen: &[Probed]) -> Vec<&ActivitySummary> {
    observations(seen)
        .filter_map(|observation| match observation {
            Observation::Activity(summary) => Some(summary),
            _ => None,
        })
        .collect()
}

fn counters(seen: &[Probed]) -> Vec<&Counters> {
    observations(seen)
        .filter_map(|observation| match observation {
            Observation::Counters(counters) => Some(&**counters),
            _ => None,
        })
        .collect()
}

fn named(session: &Session) -> (String, &str) {
    let who = match &session.who {
        Who::Foreign(application) => application.clone(),
        Who::Statement(id) => format!("statement {}", id.0),
        other => format!("{other:?}"),
    };
    (who, session.state.as_str())
}

/// A foreign tool holds a row for `hold` from the moment on that two sessions of the pool wait for it. `longest` is told how long
/// any of them can have waited, on a machine that may let everybody wait for a core as well.
fn hold_a_row(
    database: &Database,
    hold: Duration,
    longest: Arc<Mutex<Duration>>,
) -> impl FnOnce() + Send + use<> {
    let url = database.url().to_owned();
    move || {
        let tool = crate::harness::Session::open(&url, "nightly tool");
        let watcher = crate::harness::Session::open(&url, "watcher");
        tool.execute("BEGIN; UPDATE stock SET amount = 0 WHERE id = 1");
        let begun = Instant::now();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let url = url.clone();
                std::thread::spawn(move || {
                    let pool = crate::harness::Session::open(&url, POOL);
                    pool.execute(&TAKE.replace("$1", "1"));
                })
            })
            .collect();
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = '{POOL}' AND wait_event_type = 'Lock'"
        );
        wait_until("two sessions wait", Duration::from_secs(10), || watcher.value(&waiting) == "2");
        std::thread::sleep(hold);
        tool.execute("COMMIT");
        for waiter in waiters {
            waiter.join().expect("a waiter is let go");
        }
        *longest.lock().expect("nobody panics with it") = begun.elapsed();
    }
}

#[test]
fn whoever_queues_behind_a_ddl_is_charged_to_the_reader_ahead_of_it() {
    let database = stock();
    let url = database.url().to_owned();
    let watched = stock_watcher(&database);
    let seen = observe(database.url(), plan(&[LOOK]), move || {
        let open = |application| crate::harness::Session::open(&url, application);
        let reader = open("analytics");
        reader.execute("BEGIN; SELECT count(*) FROM stock");
        let ddl = {
            let session = open("migration");
            std::thread::spawn(move || session.execute("ALTER TABLE stock ADD COLUMN note text"))
        };
        wait_until("the ALTER waits", Duration::from_secs(10), || watched("migration"));
        let victim = {
            let session = open(POOL);
            std::thread::spawn(move || session.execute(&LOOK.replace("$1", "1")))
        };
        wait_until("the reader's victim waits", Duration::from_secs(10), || watched(POOL));
        std::thread::sleep(Duration::from_millis(500));
        reader.execute("COMMIT");
        ddl.join().expect("the ALTER gets its lock");
        victim.join().expect("the victim goes on");
    });

    let episodes = episodes(&seen);
    let of =
        |who: &str| episodes.iter().filter(|episode| named(&episode.waiter).0 == who).collect::<Vec<_>>();
    let (ddl, victim) = (of("migration"), of("statement 0"));
    assert_eq!((ddl.len(), victim.len()), (1, 1), "{episodes:#?}");
    for episode in [ddl[0], victim[0]] {
        let root = episode.root.as_ref().expect("the chain has an end");
        assert_eq!(named(root), ("analytics".into(), "idle in transaction"));
        assert_eq!(episode.relation.as_deref(), Some("stock"));
        assert_eq!(episode.lock_type, "relation");
    }
    let direct: Vec<_> = victim[0].direct_blockers.iter().map(|session| named(session).0).collect();
    assert_eq!(direct, ["migration"], "who stands next in the queue");
    assert_eq!((ddl[0].mode.as_str(), victim[0].mode.as_str()), ("AccessExclusiveLock", "AccessShareLock"));
}

/// Asks whether a session of a name waits, from a thread that does not own the database.
fn stock_watcher(database: &Database) -> impl Fn(&str) -> bool + Send + use<> {
    let url = database.url().to_owned();
    move |application| {
        let sql = format!(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = '{application}' AND wait_event_type = 'Lock'"
        );
        crate::harness::Session::open(&url, "watcher").value(&sql) == "t"
    }
}

#[test]
fn every_statement_of_a_mix_is_found_among_the_servers_counters() {
    let database = stock();
    let url = database.url().to_owned();
    let texts = [
        LOOK,
        TAKE,
        "/*dbdyno:shop.add*/ INSERT INTO stock (id, amount) VALUES ($1, 1) ON CONFLICT DO NOTHING",
        "/*dbdyno:shop.drop*/ DELETE FROM stock WHERE id = $1 AND amount < 0",
        // The server cannot tell it from `browse.look`.
        "/*dbdyno:shop.look*/ SELECT amount FROM stock WHERE id = $1",
        // Refused by EXPLAIN: found by its tag once it was executed.
        "/*dbdyno:shop.lock*/ LOCK TABLE stock IN ACCESS SHARE MODE",
    ];
    let seen = observe(database.url(), plan(&texts), move || {
        let pool = crate::harness::Session::open(&url, POOL);
        for (index, text) in texts.iter().enumerate() {
            if text.contains("$1") {
                pool.execute(&format!("PREPARE p{index} AS {text}"));
            }
        }
        for _ in 0..3 {
            for (index, text) in texts.iter().enumerate() {
                if text.contains("$1") {
                    pool.execute(&format!("EXECUTE p{index}(5)"));
                } else {
                    pool.execute("BEGIN");
                    pool.execute(text);
                    pool.execute("COMMIT");
                }
            }
        }
        // A session publishes its statistics at the latest when it ends, on every version.
        drop(pool);
        let rest = crate::harness::Session::open(&url, "watcher");
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{POOL}'"
        );
        wait_until("the session ends", Duration::from_secs(10), || rest.value(&sql) == "0");
        // The statistics of PostgreSQL 14 are up to half a second old.
        std::thread::sleep(Duration::from_millis(600));
    });

    let [begin, end] = counters(&seen)[..] else { panic!("two edges") };
    assert!(begin.statements.is_empty(), "nothing was executed yet: {:?}", begin.statements);
    let calls = |id: u32| {
        let row = end.statements.iter().find(|row| row.statements.contains(&StatementId(id)));
        row.map(|row| (row.statements.len(), row.calls))
    };
    assert_eq!(calls(0), Some((2, 6)), "shared by two statements");
    assert_eq!(calls(0), calls(4));
    for id in [1, 2, 3, 5] {
        assert_eq!(calls(id), Some((1, 3)), "{}", texts[id as usize]);
    }
    assert!(end.missing.is_empty(), "{:?}", end.missing);
    assert!(end.statement_evictions.is_some());
    let changes = |counters: &Counters| {
        let table =
            counters.tables.iter().find(|table| table.table == "stock").expect("it is a user's table");
        (table.updated, table.live_rows)
    };
    assert_eq!(changes(end).0 - changes(begin).0, 3);
    assert!(end.indexes.iter().any(|index| index.index == "stock_pkey" && index.constraint));
    assert!(end.database.commits > begin.database.commits && end.database.size_bytes > 1_000_000);
    assert!(end.server.wal_bytes > begin.server.wal_bytes && end.server.connections > 0);
}

#[test]
fn a_poor_role_is_told_what_it_misses_and_still_sees_who_blocks() {
    let database = stock();
    database.execute(
        "DROP EXTENSION pg_stat_statements;
         DROP ROLE IF EXISTS probe_poor;
         CREATE ROLE probe_poor LOGIN PASSWORD 'poor';
         GRANT SELECT, UPDATE ON stock TO probe_poor;
         REVOKE SELECT ON pg_stat_user_indexes FROM PUBLIC",
    );
    let (scheme, rest) = database.url().split_once("://").expect("a URL");
    let (_, place) = rest.split_once('@').expect("a URL with a user");
    let poor = format!("{scheme}://probe_poor:poor@{place}");
    let rich = database.url().to_owned();
    let poor_too = poor.clone();
    let seen = observe(&poor, plan(&[TAKE]), move || {
        let tool = crate::harness::Session::open(&rich, "nightly tool");
        tool.execute("BEGIN; UPDATE stock SET amount = 0 WHERE id = 1");
        let waiter = std::thread::spawn(move || {
            crate::harness::Session::open(&poor_too, POOL).execute(&TAKE.replace("$1", "1"));
        });
        std::thread::sleep(Duration::from_millis(600));
        tool.execute("COMMIT");
        waiter.join().expect("the waiter is let go");
    });
    let target = Target::parse(&poor).expect("a URL");
    let (header, found) = runtime().block_on(async {
        let client = target.connect("control").await.expect("the role may connect");
        let header = capabilities::target_header(&client).await.expect("its questions need no right");
        (header, capabilities::examine(&client, &target).await.expect("its questions need no right"))
    });
    database.execute("REVOKE ALL ON stock FROM probe_poor; DROP ROLE probe_poor");

    let missing = counters(&seen)[1].missing.join("\n");
    assert!(
        !missing.contains("pg_stat_statements"),
        "it never was there, as the capabilities say: {missing}"
    );
    assert!(missing.contains("pg_stat_user_indexes") && missing.contains("pg_monitor"), "{missing}");
    assert!(!counters(&seen)[1].tables.is_empty(), "the rest is read");
    let episodes = episodes(&seen);
    assert_eq!(episodes.len(), 1, "{episodes:#?}");
    let root = episodes[0].root.as_ref().expect("pg_blocking_pids needs no right");
    assert_eq!(named(root), ("nightly tool".into(), "hidden"));

    let of = |id: &str| found.iter().find(|capability| capability.id == id).expect("every id is there");
    assert_eq!(of("rights").ok, Presence::Absent);
    assert_eq!(of("rights").remedy.as_deref(), Some("GRANT pg_monitor TO \"probe_poor\""));
    assert_eq!(of("pg_stat_statements").remedy.as_deref(), Some("CREATE EXTENSION pg_stat_statements"));
    assert_eq!(of("track_io_timing").ok, Presence::Present);
    assert_eq!(of("direct").ok, Presence::Present);
    assert!(header.blind_spots.iter().any(|spot| spot.contains("pg_monitor")), "{:?}", header.blind_spots);
    assert_eq!(header.settings_fingerprint.len(), 16);
    assert!(header.shared_buffers_bytes.is_some_and(|bytes| bytes > 100_000));
}

#[test]
fn the_fingerprint_follows_the_settings_and_not_the_session() {
    let database = stock();
    let target = Target::parse(database.url()).expect("a URL");
    let fingerprint = |set: &'static str| {
        let target = target.clone();
        runtime().block_on(async move {
            let client = target.connect("control").await.expect("it connects");
            let postgres = client.postgres().expect("it is one");
            postgres.batch_execute(set).await.expect("the setting exists");
            capabilities::target_header(&client).await.expect("it answers").settings_fingerprint
        })
    };
    let before = fingerprint("");
    assert_eq!(before, fingerprint("SET statement_timeout = '7s'"));
    database.execute(&format!("ALTER DATABASE {} SET random_page_cost = 1.7", database.name()));
    assert_ne!(before, fingerprint(""));
}

#[test]
fn a_killed_probe_connection_is_a_gap_and_comes_back() {
    let database = stock();
    let name = database.name().to_owned();
    let seen = observe(database.url(), plan(&[LOOK]), move || {
        // From another database: one's own cannot be closed.
        let admin = crate::harness::Session::open(server().url(), "administrator");
        std::thread::sleep(Duration::from_millis(300));
        admin.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        admin.rows(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'dbdyno probe' AND datname = '{name}'"
        ));
        std::thread::sleep(Duration::from_millis(500));
        admin.execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        std::thread::sleep(Duration::from_millis(1500));
    });
    let failed: Vec<_> = seen.iter().filter(|probed| probed.reading.seen.is_err()).collect();
    assert!(!failed.is_empty(), "the loss is told");
    assert!(failed.iter().all(|probed| probed.reading.cost.gaps > 0), "{failed:#?}");
    // Whichever of the probes is the first to look again.
    let told = |why: &str| {
        let errors = failed.iter().filter_map(|probed| probed.reading.seen.as_ref().err());
        errors.into_iter().any(|error| error.contains(why))
    };
    assert!(told("not currently accepting connections"), "{failed:#?}");
    let looks: u32 = activity(&seen).iter().map(|summary| summary.samples).sum();
    assert!(looks > 15, "it looks again after the loss: {looks}");
    assert_eq!(counters(&seen).len(), 2, "the counters connect again for the next edge");
}

mod timing {
    use super::*;

    #[test]
    fn a_foreign_row_lock_is_charged_to_its_holder_for_as_long_as_it_was_held() {
        let database = stock();
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let scene = hold_a_row(&database, Duration::from_secs(2), Arc::clone(&longest));
        let seen = observe(database.url(), plan(&[TAKE]), scene);

        // Forty looks were due while both waited, and some before and behind; where a look takes its time there are fewer, so that all
        // that follows is held against those that were taken.
        let summaries = activity(&seen);
        let looks: u64 = summaries.iter().map(|summary| u64::from(summary.samples)).sum();
        let lock_looks: u32 = summaries.iter().filter_map(|summary| summary.lock_looks).sum();
        let episodes = episodes(&seen);
        // The second waiter may be seen for a moment behind the first, when that one has the row.
        let long: Vec<_> = episodes.iter().filter(|episode| episode.samples > 2).collect();
        assert_eq!(long.len(), 2, "{episodes:#?}");
        assert_ne!(long[0].waiter.backend, long[1].waiter.backend);
        for episode in long {
            let root = episode.root.as_ref().expect("somebody holds the row");
            assert_eq!(named(root), ("nightly tool".into(), "idle in transaction"));
            assert_eq!(named(&episode.waiter), ("statement 0".into(), "active"));
            assert_eq!(episode.relation.as_deref(), Some("stock"));
            // It waited at least until it was last seen and at most until it was not, however far these are apart. A tenth of the two
            // seconds is far more than the error of the clock's offset.
            let longest = longest.lock().expect("nobody panics with it").as_secs_f64();
            let [seen_for, gone_after] =
                [episode.last_seen_at, episode.gone_at].map(|at| (at - episode.began_at).as_secs_f64());
            assert!(
                gone_after > 1.8 && seen_for < longest + 0.2,
                "{seen_for} to {gone_after} of {longest} s"
            );
            // It is told as over by the first look that does not see it, which is as far from the last that did as looks are: seldom
            // three times as far as on average.
            let between_looks = seen_for / f64::from(episode.samples);
            assert!(gone_after < longest + 0.2 + 3.0 * between_looks, "{gone_after} of {longest} s");
            assert!(2 * episode.samples > lock_looks, "seen by {} of {lock_looks}", episode.samples);
        }
        let waiting: u64 = summaries
            .iter()
            .flat_map(|summary| &summary.seen)
            .filter(|seen| seen.who == Who::Statement(StatementId(0)))
            .filter(|seen| seen.wait.as_deref().is_some_and(|wait| wait.starts_with("Lock:")))
            .map(|seen| seen.count)
            .sum();
        assert!(waiting > looks, "two sessions in most of {looks} looks: {waiting}");
    }
}
