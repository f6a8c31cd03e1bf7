-- The statements of pgbench's built-in script "tpcb-like", word for word.

-- name: update_account :exec
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;

-- name: account_balance :one
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;

-- name: update_teller :exec
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;

-- name: update_branch :exec
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;

-- name: insert_history :exec
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
