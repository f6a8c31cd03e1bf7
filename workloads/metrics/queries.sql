-- The statements of the monitoring. The data ends when it was loaded or when the last run ended, and time goes on there:
-- `:behind` is how far the newest sample lay behind the clock when the run began. So "the last hour" is always full.

-- One report of one host: all its series, in one statement.
-- name: report :one
WITH written AS (
    INSERT INTO samples (series_id, time, value)
    SELECT s.id, clock_timestamp() - :behind::interval, v.value
    FROM (VALUES (1, :cpu::double precision), (2, :memory), (3, :disk), (4, :network)) AS v (position, value)
    JOIN series s ON s.host_id = :host_id AND s.position = v.position
    RETURNING 1
)
SELECT count(*) AS written FROM written;

-- A host that was cut off sends what it has kept: a sample a minute, up to when it was cut off.
-- name: report_late :one
WITH written AS (
    INSERT INTO samples (series_id, time, value)
    SELECT s.id, clock_timestamp() - :behind::interval - :late_s * interval '1 second' - minute * interval '1 minute', :cpu
    FROM series s, generate_series(0, :minutes::integer) AS minute
    WHERE s.host_id = :host_id
    RETURNING 1
)
SELECT count(*) AS written FROM written;

-- name: fleet_last_hour :many
SELECT date_trunc('minute', time) AS minute, s.metric, avg(value) AS mean, max(value) AS worst, count(*) AS samples
FROM samples
JOIN series s ON s.id = series_id
WHERE time > now() - :behind::interval - interval '1 hour'
GROUP BY minute, s.metric
ORDER BY minute, s.metric;

-- name: host_last_hour :many
SELECT s.metric, time, value
FROM series s
JOIN samples ON series_id = s.id AND time > now() - :behind::interval - interval '1 hour'
WHERE s.host_id = :host_id
ORDER BY s.metric, time;

-- name: latest_of_host :many
SELECT s.metric, newest.time, newest.value
FROM series s
CROSS JOIN LATERAL (
    SELECT time, value
    FROM samples
    WHERE series_id = s.id AND time > now() - :behind::interval - interval '15 minutes'
    ORDER BY time DESC
    LIMIT 1
) newest
WHERE s.host_id = :host_id;

-- An alert fires where one sample of the last five minutes lies above the threshold.
-- name: alert_check :many
SELECT s.host_id, max(value) AS worst
FROM samples
JOIN series s ON s.id = series_id
WHERE time > now() - :behind::interval - interval '5 minutes' AND s.metric = :metric
GROUP BY s.host_id
HAVING max(value) > :threshold
ORDER BY worst DESC;

-- name: busiest_hosts :many
SELECT h.name, h.region, percentile_cont(0.95) WITHIN GROUP (ORDER BY value) AS p95
FROM samples
JOIN series s ON s.id = series_id
JOIN hosts h ON h.id = s.host_id
WHERE time > now() - :behind::interval - interval '1 hour' AND s.metric = :metric
GROUP BY h.id
ORDER BY p95 DESC
LIMIT 10;

-- name: region_last_day :many
SELECT date_bin('15 minutes', time, TIMESTAMPTZ '2026-01-01 00:00+00') AS quarter, h.region, avg(value) AS mean
FROM samples
JOIN series s ON s.id = series_id
JOIN hosts h ON h.id = s.host_id
WHERE time > now() - :behind::interval - interval '24 hours' AND s.metric = :metric
GROUP BY quarter, h.region
ORDER BY quarter, h.region;
