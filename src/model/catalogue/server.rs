//! Findings on tables, indexes, plans and what the server does beside the workload.

use super::{Family, FindingEntry};

const fn of(id: &'static str, title: &'static str, said: [&'static str; 5]) -> FindingEntry {
    let [condition, meaning, evidence, causes, remedy] = said;
    FindingEntry { id, family: Family::Server, title, condition, meaning, evidence, causes, remedy }
}

/// In the order in which a person would look.
pub(super) const ENTRIES: &[FindingEntry] = &[
    of(
        "sequential-scans",
        "an index is missing: scans read far more rows than anybody gets",
        [
            "a table of at least 5 000 rows whose sequential scans read ten times the rows that the statements naming it returned",
            "each of these executions reads the table from its beginning, and takes longer with every row that is added",
            "stages[].tables[].seq_rows_read against stages[].statements[].rows",
            "no index for a condition, a function or cast around the column, statistics that mislead the planner",
            "an index for what is searched by (dbdyno index --suggest proposes and measures them); a sum over the whole table is better \
             answered from a summary",
        ],
    ),
    of(
        "duplicate-indexes",
        "an index has a twin",
        [
            "two indexes of a table are made alike",
            "each write is made twice, and both take room in the buffers",
            "stages[].indexes[].duplicate_of, size_bytes, writes_max",
            "a key and an index on the same columns, migrations of several teams",
            "DROP INDEX CONCURRENTLY of the one that no constraint needs; writes and room of one index are won",
        ],
    ),
    of(
        "overlapping-indexes",
        "an index is the beginning of a longer one",
        [
            "a B-tree whose keys are the first keys of another one",
            "the longer one answers the same searches, with somewhat more blocks for each; both are written",
            "stages[].indexes[].covered_by, scans, size_bytes, writes_max",
            "an index that was added for a new query, and the old one kept",
            "measure without it (dbdyno index --drop), and drop it where reads stay fast enough; writes and room of one index are \
             won",
        ],
    ),
    of(
        "unused-indexes",
        "an index was not used in this run",
        [
            "no scan in any stage, and neither a constraint nor another finding accounts for it",
            "it is written and takes room, and no statement of this workload searched by it",
            "stages[].indexes[].scans, writes_max, size_bytes",
            "queries that were changed or dropped, or that this workload does not have",
            "before any is dropped: other workloads, monthly reports and replicas may use it; dbdyno index --drop-unused measures what \
             is won",
        ],
    ),
    of(
        "cache-too-small",
        "sessions wait for blocks from outside shared buffers",
        [
            "at least 20 % of the sampled sessions, and half a session on average, waited for reads, with a hit rate below 99 %",
            "each execution that misses waits for the disk or for the kernel's cache",
            "stages[].waits (IO:DataFileRead), stages[].server.cache_hit_fraction, target.shared_buffers_bytes, target.database_bytes",
            "shared_buffers below the working set, a scan that drives it out, an index that is missing",
            "first what reads most: an index or fewer rows; then shared_buffers up to a quarter of the memory or more. At most the share \
             of these waits is won",
        ],
    ),
    of(
        "temp-files",
        "sorts and hashes spill to disk",
        [
            "at least 1 MiB of temporary files was written for each second of a measured stage",
            "what does not fit into work_mem is written and read back, several times the work in memory",
            "stages[].server.temp_bytes, stages[].statements[].server.temp_blks_written",
            "work_mem below what a sort, hash or materialisation needs; estimates that are too low",
            "raise work_mem for the statements that spill (SET LOCAL, or ALTER ROLE … SET), to two or three times what one \
             execution spills; an index that delivers the order needs none. The spill goes, and with it the waits in \
             IO:BufFileRead and IO:BufFileWrite",
        ],
    ),
    of(
        "checkpoint-slows",
        "responses were slower during checkpoints",
        [
            "at least three seconds with a checkpoint and three without, the median of the former 1.5 times as high and 0.5 ms higher",
            "checkpoints come again and again, and with each of them the slow responses",
            "stages[].server_events, stages[].intervals",
            "max_wal_size that is used up too soon, checkpoints all at once, full-page images behind each of them",
            "raise max_wal_size so that they come by time, raise checkpoint_timeout, keep checkpoint_completion_target at 0.9; \
             responses are then those of the seconds between, for longer, and each checkpoint less brings fewer full-page images",
        ],
    ),
    of(
        "wal-bound",
        "sessions wait for the WAL to be written",
        [
            "at least 40 % of the sampled sessions, and one session on average, waited for writing or flushing WAL",
            "commits are as fast as the disk flushes: neither more connections nor more cores help",
            "stages[].waits (IO:WALSync, IO:WALWrite, LWLock:WALWrite), stages[].server.wal_io, wal_bytes, wal_fpi",
            "one commit for each small change, a slow flush, full-page images after frequent checkpoints, many indexes",
            "put several changes into one transaction, the WAL on a disk that flushes faster, and where losing the last moments is \
             allowed synchronous_commit=off for that transaction; commit_delay with many sessions. The share of these waits is won at \
             most",
        ],
    ),
    of(
        "autovacuum-slows",
        "responses were slower during an autovacuum",
        [
            "at least three seconds with an autovacuum and three without, the median of the former 1.5 times as high and 0.5 ms higher",
            "tables that change are cleaned up for as long as the load lasts",
            "stages[].server_events, stages[].intervals",
            "a large table that is cleaned rarely and then all at once, a disk that is full already",
            "less at a time and more often: a lower autovacuum_vacuum_scale_factor for the table and its cost limits; responses \
             during one then come near to those without. Do not switch it off",
        ],
    ),
    of(
        "bloat",
        "dead rows gather faster than they are cleaned up",
        [
            "a table with at least 10 000 dead rows at the end of a stage, and more than half as many as live ones",
            "scans and searches go through rows that nobody can see, and the table grows",
            "stages[].tables[].dead_rows, live_rows, autovacuums, size_growth_bytes; stages[].server_intervals[].oldest_transaction_s",
            "a transaction that stays open and keeps them visible, autovacuum switched off or slower than the updates",
            "end long transactions, lower autovacuum_vacuum_scale_factor for the table, raise its cost limit; plain VACUUM makes \
             the room reusable, pg_repack gives it back. Scans then read the blocks of live rows and few more",
        ],
    ),
    of(
        "hot-loss",
        "updates write into every index of their table",
        [
            "at least 1 000 updates of a table in a measured stage, of which less than half were heap-only",
            "an update that is not heap-only writes an entry into each index, and leaves one to clean up",
            "stages[].tables[].hot_fraction, updated, stages[].indexes[].writes_max",
            "an index on a column that is updated, pages without room (fillfactor 100, freshly loaded), long transactions",
            "drop the index on the updated column where reads allow it (dbdyno index --drop measures that), or a fillfactor of 80 to 90 \
             for the table; index writes fall by the share that becomes heap-only",
        ],
    ),
    of(
        "stale-statistics",
        "a table has changed much since its last ANALYZE",
        [
            "a table of at least 5 000 live rows of which more than half were changed since, and no autoanalyze ended in the stage; a \
             warning where as many rows were changed as there are",
            "the planner estimates by a table that is not there any more",
            "stages[].tables[].changed_since_analyze, live_rows, autoanalyzes",
            "a load without ANALYZE behind it, autovacuum switched off, a threshold that is high for this table",
            "ANALYZE the table before it is measured, and lower its autovacuum_analyze_scale_factor; plans then follow the data",
        ],
    ),
    of(
        "plan-changed",
        "the plan of a statement changed during the run",
        [
            "within a stage the server's plan for the same values became another one",
            "times before and behind that moment are those of two different plans",
            "stages[].plan_changes with the cause that was seen",
            "statistics made anew, a table that grew past a threshold, an index that came, went or became invalid",
            "compare both plans (--full); more statistics for the columns, or ANALYZE before you measure: the times are then \
             those of one plan",
        ],
    ),
    of(
        "plan-depends-on-values",
        "common and rare values have different plans",
        [
            "the plan for the values that are drawn most often differs from that for the rarest",
            "the times are a mixture of two plans, and shift with the values that are asked for",
            "stages[].statements[].plans by their classes",
            "skewed data: a status that most rows have, a customer with most orders",
            "none needed while both are fast; where one is not, an index or more statistics for the values for which it is made: \
             at most the difference between the two is won",
        ],
    ),
    of(
        "generic-plan-differs",
        "sessions keep to a plan that looks at no value, and it is another one",
        [
            "with prepared statements: the generic plan is chosen, and differs from that for common values",
            "from its sixth execution on a session keeps to it, whatever the values are",
            "stages[].statements[].generic_plan, plans",
            "partitions or skewed columns, for which a plan without values is a guess",
            "dbdyno ab --b 'set plan_cache_mode=force_custom_plan' says what planning for the values would win; set it for the \
             role where that is faster",
        ],
    ),
];
