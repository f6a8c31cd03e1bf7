-- The statements of sysbench's OLTP tests. A range has a hundred rows, `--range-size` of sysbench unless it is said.

-- name: point_select :one
SELECT c FROM sbtest1 WHERE id = :id;

-- name: simple_range :many
SELECT c FROM sbtest1 WHERE id BETWEEN :from AND :from + 99;

-- name: sum_range :one
SELECT sum(k) AS total FROM sbtest1 WHERE id BETWEEN :from AND :from + 99;

-- name: order_range :many
SELECT c FROM sbtest1 WHERE id BETWEEN :from AND :from + 99 ORDER BY c;

-- name: distinct_range :many
SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN :from AND :from + 99 ORDER BY c;

-- name: index_update :exec
UPDATE sbtest1 SET k = k + 1 WHERE id = :id;

-- name: non_index_update :exec
UPDATE sbtest1 SET c = :new_c WHERE id = :id;

-- name: delete_row :exec
DELETE FROM sbtest1 WHERE id = :other_id;

-- name: insert_row :exec
INSERT INTO sbtest1 (id, k, c, pad) VALUES (:other_id, :new_k, :new_c, :new_pad);
