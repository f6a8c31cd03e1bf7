//! How the rows of a table are shared out among connections and threads: chunks of rows, in turns. Knows no server.

use std::ops::Range;

/// Bytes of a chunk, about: large enough that a system call costs nothing, small enough for a processor's cache.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes of a turn of one of several connections, at most: a round trip for each is of no account.
const TURN_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Turns that each connection has at least, where there are several. With 16 the physical correlation of a column that
/// follows the rows stays above 0.99.
const TURNS_MIN: u64 = 16;
/// Bytes that make a further connection worth its while.
const JOB_BYTES_MIN: u64 = 2 * 1024 * 1024;

/// How the chunks of a table are shared out.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub(super) rows: u64,
    pub(super) rows_per_chunk: u64,
    pub(super) jobs: u64,
    /// Chunks of one job that follow each other, before it is the next job's turn.
    pub(super) chunks_per_turn: u64,
    /// Encoding threads of each job.
    pub(super) threads: u64,
}

impl Shares {
    pub(super) fn new(rows: u64, row_bytes: u64, jobs: u64, threads: u64) -> Self {
        let bytes = rows.saturating_mul(row_bytes);
        let jobs = jobs.min(bytes / JOB_BYTES_MIN).max(1);
        let turn_bytes = if jobs == 1 { bytes } else { TURN_BYTES_MAX.min(bytes / jobs / TURNS_MIN) };
        let chunk_bytes = turn_bytes.min(CHUNK_BYTES as u64);
        let rows_per_chunk = (chunk_bytes / row_bytes.max(1)).max(1);
        let chunks = rows.div_ceil(rows_per_chunk);
        Self {
            rows,
            rows_per_chunk,
            jobs,
            chunks_per_turn: if jobs == 1 { chunks.max(1) } else { (turn_bytes / chunk_bytes.max(1)).max(1) },
            threads: threads.div_ceil(jobs).min(chunks.div_ceil(jobs)).max(1),
        }
    }

    /// The rows of the `number`-th chunk of a job, if there is one.
    pub(super) fn chunk(self, job: u64, number: u64) -> Option<Range<u64>> {
        let turn = number / self.chunks_per_turn * self.jobs + job;
        let start = (turn * self.chunks_per_turn + number % self.chunks_per_turn) * self.rows_per_chunk;
        (start < self.rows).then(|| start..self.rows.min(start + self.rows_per_chunk))
    }

    /// The numbers of the chunks of a job's turn; none where it has no more rows.
    pub(super) fn turn(self, job: u64, turn: u64) -> impl Iterator<Item = u64> {
        let numbers = turn * self.chunks_per_turn..(turn + 1) * self.chunks_per_turn;
        numbers.take_while(move |number| self.chunk(job, *number).is_some())
    }

    /// Turns of each job, some of them perhaps empty.
    pub(super) fn turns(self) -> u64 {
        self.rows.div_ceil(self.rows_per_chunk).div_ceil(self.chunks_per_turn * self.jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_threads_share_every_row_once_and_in_turn() {
        for (rows, row_bytes, jobs, threads) in
            [(1_000_000, 40, 4, 3), (5, 10, 1, 1), (300_000, 100, 2, 8), (1, 1, 1, 2), (3, 2_000_000, 4, 2)]
        {
            let shares = Shares::new(rows, row_bytes, jobs, threads);
            let mut taken = vec![0; usize::try_from(rows).expect("small")];
            let mut at = 0;
            for turn in 0..shares.turns() {
                for job in 0..shares.jobs {
                    for number in shares.turn(job, turn) {
                        let chunk = shares.chunk(job, number).expect("it is of the turn");
                        assert_eq!(chunk.start, at, "turns follow the order of the rows");
                        at = chunk.end;
                        for row in chunk {
                            taken[usize::try_from(row).expect("small")] += 1;
                        }
                    }
                }
            }
            assert!(taken.iter().all(|&times| times == 1), "{rows} {jobs} {threads}");
            assert!(shares.rows_per_chunk * row_bytes <= CHUNK_BYTES as u64 || shares.rows_per_chunk == 1);
        }
    }

    #[test]
    fn a_small_table_is_the_work_of_one_and_a_large_one_has_many_turns() {
        let of = |rows, jobs| Shares::new(rows, 100, jobs, 2);
        assert_eq!((of(20_000, 4).jobs, of(20_000, 4).turns()), (1, 1));
        let shares = of(1_000_000, 4);
        assert_eq!(shares.jobs, 4);
        assert!(shares.turns() >= TURNS_MIN, "{}", shares.turns());
        let shares = of(100_000_000, 4);
        assert_eq!(shares.rows_per_chunk * shares.chunks_per_turn * 100 / 1024 / 1024, 3);
    }
}
