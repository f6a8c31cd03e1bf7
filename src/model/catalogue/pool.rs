//! Findings on load, pool and connections.

use super::{Family, FindingEntry};

const fn of(id: &'static str, title: &'static str, said: [&'static str; 5]) -> FindingEntry {
    let [condition, meaning, evidence, causes, remedy] = said;
    FindingEntry { id, family: Family::Pool, title, condition, meaning, evidence, causes, remedy }
}

/// In the order in which a person would look.
pub(super) const ENTRIES: &[FindingEntry] = &[
    of(
        "breaking-point",
        "the first stage that the system does not bear",
        [
            "of several measured stages one has a backlog that grows, sheds load, or breaks a budget",
            "from there on response times have no steady value, or work is not done at all",
            "endurance.breaking_point, endurance.held",
            "whatever is full first: the waits of that stage say what",
            "plan below the load that was borne, or widen what that stage waited for: the next thing that is full sets the new \
             limit",
        ],
    ),
    of(
        "rate-not-reached",
        "the offered rate is not kept",
        [
            "less than 98 % of the offered rate ended ok in a measured stage",
            "a backlog grows as long as the load lasts, and response times with it: they have no steady value",
            "stages[].achieved_per_s against offered_per_s, stages[].accounting",
            "a pool, a lock, a disk or cores that are full; or --in-flight-max below what is needed",
            "dbdyno capacity finds the rate that is kept and what stops a higher one; below it response times have a steady value",
        ],
    ),
    of(
        "errors",
        "transactions that did not end well",
        [
            "at least 1 % of the transactions failed, were skipped, abandoned, or lost the answer to their commit",
            "users see errors, and failed work makes throughput and latencies of the rest look better than they are",
            "stages[].transactions[].errors by SQLSTATE, stages[].accounting, events of the kind first_error",
            "conflicts, timeouts, constraints, a pool that gives up, a schema that changed",
            "look the SQLSTATE up in the server's manual; the first error stands in the events with the server's words. Without \
             them the figures are those of work that was done",
        ],
    ),
    of(
        "connections-failed",
        "attempts to connect failed during the measurement",
        [
            "the pool had to make a connection and could not, in a measured stage",
            "for part of the time there was no server to measure, or no room on it",
            "stages[].pool.create_errors",
            "max_connections is reached (53300), a restart, a failover, or authentication that is too slow",
            "look into the server's log; with 53300 make the pool smaller or raise max_connections, until all connections of all \
             instances have room",
        ],
    ),
    of(
        "pool-too-small",
        "requests wait for a connection although the server has room",
        [
            "all connections busy with someone waiting more than half of the time, pool wait above service time, the host's cores not \
             full, and sessions not mostly in locks",
            "response time is mostly waiting for a connection",
            "stages[].pool.saturated_fraction, pool.wait_us, service_us, host.cpu_fraction",
            "a pool sized for another load, or connections held for longer than the server works (held-by-application)",
            "measure larger pools with dbdyno pool; up to the knee throughput grows and the wait falls by as much as connections are \
             added",
        ],
    ),
    of(
        "pool-too-large",
        "more connections than do any good",
        [
            "in a pool study the pool in use today, or the largest one measured, is surely slower than the recommended one",
            "requests that would wait in the pool wait on the server, where they hold locks and make each other slower",
            "study.recommended.against, study.sizes[]",
            "the belief that more connections are more throughput; instances that were added without lowering their pools",
            "lower it to the recommended size: the study says by how much throughput and response change",
        ],
    ),
    of(
        "held-by-application",
        "connections are held while nothing is asked of the server",
        [
            "in a pool study more than 30 % of the held time passed without a request under way, and connections were scarce",
            "the pool must be larger than what the server needs, and locks are held for as long",
            "study.sizes[].estimates.held_unused_fraction, hold_us",
            "calls of other services, rendering or hashing between the statements of a transaction",
            "do what needs no database before a connection is taken or after it is given back: connections needed fall by that share",
        ],
    ),
    of(
        "slow-creates",
        "making a connection takes much longer than using it",
        [
            "a connection takes more than 5 ms and more than five times a transaction's service time to make, and more than 1 % of \
             all response time goes into that",
            "whoever meets a connection that must be made waits for it",
            "stages[].pool.create_us against service_us",
            "TLS and SCRAM on slow cores, a name server, a far region, a server short of processes",
            "keep the pool at its full size, let connections live longer, and look for what breaks them: whoever is served then \
             waits for none to be made",
        ],
    ),
    of(
        "connection-churn",
        "connections are made again and again",
        [
            "at least 20 connections made in a measured stage and more than one for twenty transactions, without a storm",
            "each costs the server a process, authentication and empty caches; each prepared statement is planned anew",
            "stages[].pool.creates, create_us, retired, discarded",
            "a pool without idle connections, a short maximum lifetime, a check that throws good connections away, serverless clients",
            "keep connections for minutes (30 min is usual), make the minimum of the pool its maximum, or put a pooler before the \
             server: what is won is the time told in the evidence",
        ],
    ),
    of(
        "leak-suspected",
        "a connection was held far longer than all others",
        [
            "one was held for at least 1 s and 50 times as long as 99 % of all, and no request of its transaction took half of that",
            "a connection that is not given back is missing in the pool: a few of them stop the application",
            "stages[].transactions[].hold_us.max against p99, stages[].statements[].execute_us.max",
            "an error path that keeps it, a stream that is not read to its end, a call of another service",
            "find the path on which it is kept; a limit on the time for which one may be held shows it at once",
        ],
    ),
    of(
        "uneven-instances",
        "some instances lack connections while others have some to spare",
        [
            "the shares of saturated time of two instances differ by more than 20 points on average over repetitions, or by more than \
             50 in the only measurement",
            "a request waits where it landed, however many connections are free elsewhere",
            "stages[].pool.by_instance",
            "a balancer that goes by turns, long requests that gather by chance, many small instances",
            "spread requests by the number under way, use fewer and larger instances, or put a pooler before the server: free \
             connections then serve those who wait",
        ],
    ),
    of(
        "pooler-too-small",
        "clients wait in the pooler for a server connection",
        [
            "more than one client waited there on average, for more than a quarter of the response time",
            "the queue stands in the pooler, where neither the application's pool nor the server shows it",
            "stages[].pooler.clients_waiting_mean, stages[].pooler.work.wait_us_mean",
            "default_pool_size below what the server bears, or transactions that idle between their statements",
            "more server connections (default_pool_size; --pooler-pool) if the server has room: the wait told in the evidence is won",
        ],
    ),
    of(
        "pooler-full",
        "the pooler has no time left",
        [
            "a pooler on this host used more than 90 % of the one core that it can use",
            "it works on one thread: clients wait for it although connections and server are free",
            "stages[].pooler.cpu_fraction",
            "many small statements through one process, TLS on both sides",
            "run several of them on one port (so_reuseport = 1): each brings a core; or send fewer statements to it",
        ],
    ),
    of(
        "retry-storm",
        "transactions are tried again and again",
        [
            "at least 50 further tries in a measured stage, and more than one for five transactions that ended ok",
            "the server does work that is thrown away, which causes more conflicts: load grows where there is least room for it",
            "stages[].accounting.retried, stages[].transactions[].errors (40001, 40P01)",
            "hot rows under serializable or repeatable read, deadlocks, retries without back-off, timeouts below the usual latency",
            "wait before each further try, longer each time and with jitter; take hot rows in one order or by SELECT … FOR UPDATE; the \
             work that is thrown away is won back",
        ],
    ),
];
