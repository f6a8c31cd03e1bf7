-- The statements of the queue.

-- name: enqueue :one
INSERT INTO jobs (kind, payload)
VALUES (:kind, :payload)
RETURNING id AS job_id;

-- Takes the job that has been ready the longest, and passes over what another consumer holds. The row stays locked until the
-- consumer commits: one that dies gives its job back by itself. `wait_us` is how long the job was ready.
-- name: take_job :optional
SELECT id AS job_id, kind, payload, attempts,
       (extract(epoch FROM clock_timestamp() - run_at) * 1000000)::bigint AS wait_us
FROM jobs
WHERE state = 'ready' AND run_at <= clock_timestamp()
ORDER BY run_at, id
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- `age_us` is the age of the event at its end: from the producer's insert, over failures and pauses, to here. `sequence` is
-- the order in which the events were made.
-- name: finish_job :optional
UPDATE jobs
SET state = 'done', attempts = attempts + 1, finished_at = clock_timestamp()
WHERE id = :job_id
RETURNING (extract(epoch FROM clock_timestamp() - enqueued_at) * 1000000)::bigint AS age_us, id AS sequence;

-- A job that failed waits a second, then two, four, …, and is given up after its last attempt.
-- name: fail_job :optional
UPDATE jobs
SET attempts = attempts + 1,
    last_error = :error,
    state = CASE WHEN attempts + 1 >= max_attempts THEN 'dead' ELSE 'ready' END,
    finished_at = CASE WHEN attempts + 1 >= max_attempts THEN clock_timestamp() END,
    run_at = clock_timestamp() + interval '1 second' * power(2, attempts)
WHERE id = :job_id
RETURNING attempts AS tries;

-- An old job may have been cleaned up.
-- name: job_status :optional
SELECT state, attempts, run_at, finished_at, last_error
FROM jobs
WHERE id = :job_id;

-- What has been finished the longest goes first.
-- name: purge :exec
DELETE FROM jobs
WHERE id IN (
    SELECT id
    FROM jobs
    WHERE state IN ('done', 'dead')
    ORDER BY finished_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
);

-- name: failures_by_kind :many
SELECT kind, count(*) AS dead
FROM jobs
WHERE state = 'dead'
GROUP BY kind
ORDER BY dead DESC;
