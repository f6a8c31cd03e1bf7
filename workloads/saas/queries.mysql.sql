-- What MariaDB wants in other words than queries.sql has them. `insert_task` is that of queries.sql: its RETURNING is known to
-- MariaDB and not to MySQL, which refuses it.

-- name: active_projects :many
SELECT id, name, open_tasks
FROM projects
WHERE tenant_id = :tenant_id AND archived = 0
ORDER BY created_at DESC
LIMIT 50;

-- An update returns nothing there: what it will do to the number of open tasks is asked for with the lock.
-- name: lock_task :one
SELECT project_id, state AS state_before, CASE state WHEN 'open' THEN 0 WHEN 'doing' THEN -1 ELSE 1 END AS opened
FROM tasks
WHERE tenant_id = :tenant_id AND id = :task_id
FOR UPDATE;

-- A finished task is opened again: so the number of open tasks stays as it is, however long a run lasts.
-- name: move_task :exec
UPDATE tasks
SET state = CASE :state_before WHEN 'open' THEN 'doing' WHEN 'doing' THEN 'done' ELSE 'open' END, updated_at = now()
WHERE tenant_id = :tenant_id AND id = :task_id;

-- How much a company has done: what the huge one pays for, everybody waits for.
-- name: progress_by_project :many
SELECT p.id, p.name,
       sum(t.state IN ('open', 'doing')) AS open_tasks,
       sum(t.state = 'done') AS done,
       sum(t.state IN ('open', 'doing') AND coalesce(t.due_on < current_date, 0)) AS overdue
FROM projects p
JOIN tasks t ON t.tenant_id = p.tenant_id AND t.project_id = p.id
WHERE p.tenant_id = :tenant_id AND p.archived = 0
GROUP BY p.tenant_id, p.id
ORDER BY overdue DESC
LIMIT 20;
