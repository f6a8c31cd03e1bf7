-- The statements of the project tracker. Each of them carries the tenant.

-- name: member_by_id :one
SELECT id, name, role, seen_at
FROM members
WHERE tenant_id = :tenant_id AND id = :member_id;

-- name: touch_member :exec
UPDATE members
SET seen_at = now()
WHERE tenant_id = :tenant_id AND id = :member_id;

-- name: active_projects :many
SELECT id, name, open_tasks
FROM projects
WHERE tenant_id = :tenant_id AND NOT archived
ORDER BY created_at DESC
LIMIT 50;

-- name: board :many
SELECT id, title, state, priority, assignee_id, due_on
FROM tasks
WHERE tenant_id = :tenant_id AND project_id = :project_id AND state IN ('open', 'doing')
ORDER BY priority, id
LIMIT 100;

-- name: my_tasks :many
SELECT id, project_id, title, due_on
FROM tasks
WHERE tenant_id = :tenant_id AND assignee_id = :member_id AND state IN ('open', 'doing')
ORDER BY due_on
LIMIT 20;

-- name: task_by_id :one
SELECT t.id, t.title, t.body, t.state, t.priority, t.labels, p.name AS project, m.name AS assignee
FROM tasks t
JOIN projects p ON p.tenant_id = t.tenant_id AND p.id = t.project_id
LEFT JOIN members m ON m.tenant_id = t.tenant_id AND m.id = t.assignee_id
WHERE t.tenant_id = :tenant_id AND t.id = :task_id;

-- name: comments_of_task :many
SELECT id, author_id, body, created_at
FROM comments
WHERE tenant_id = :tenant_id AND task_id = :task_id
ORDER BY created_at
LIMIT 50;

-- name: insert_task :one
INSERT INTO tasks (tenant_id, project_id, title, body, priority, labels)
VALUES (:tenant_id, :project_id, :title, :body, :priority, :labels)
RETURNING tenant_id, id AS task_id;

-- name: count_opened :exec
UPDATE projects
SET open_tasks = open_tasks + 1
WHERE tenant_id = :tenant_id AND id = :project_id;

-- name: insert_comment :exec
INSERT INTO comments (tenant_id, task_id, body)
VALUES (:tenant_id, :task_id, :comment);

-- name: touch_task :exec
UPDATE tasks
SET updated_at = now()
WHERE tenant_id = :tenant_id AND id = :task_id;

-- name: lock_task :one
SELECT project_id, state AS state_before
FROM tasks
WHERE tenant_id = :tenant_id AND id = :task_id
FOR UPDATE;

-- A finished task is opened again: so the number of open tasks stays as it is, however long a run lasts.
-- name: move_task :one
UPDATE tasks
SET state = CASE :state_before::text WHEN 'open' THEN 'doing' WHEN 'doing' THEN 'done' ELSE 'open' END, updated_at = now()
WHERE tenant_id = :tenant_id AND id = :task_id
RETURNING (state = 'open')::integer - (state = 'done')::integer AS opened;

-- name: count_moved :exec
UPDATE projects
SET open_tasks = open_tasks + :opened
WHERE tenant_id = :tenant_id AND id = :project_id AND :opened <> 0;

-- name: recent_changes :many
SELECT id, project_id, title, state, updated_at
FROM tasks
WHERE tenant_id = :tenant_id
ORDER BY updated_at DESC
LIMIT 30;

-- How much a company has done: what the huge one pays for, everybody waits for.
-- name: progress_by_project :many
SELECT p.id, p.name,
       count(*) FILTER (WHERE t.state IN ('open', 'doing')) AS open,
       count(*) FILTER (WHERE t.state = 'done') AS done,
       count(*) FILTER (WHERE t.state IN ('open', 'doing') AND t.due_on < current_date) AS overdue
FROM projects p
JOIN tasks t ON t.tenant_id = p.tenant_id AND t.project_id = p.id
WHERE p.tenant_id = :tenant_id AND NOT p.archived
GROUP BY p.tenant_id, p.id
ORDER BY overdue DESC
LIMIT 20;
