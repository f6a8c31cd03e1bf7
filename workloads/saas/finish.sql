-- A task is given to somebody of its own company: the member whose number fits, where the tenant has any. The application
-- keeps this rule itself, so that there is no foreign key.
WITH staff AS (
    SELECT tenant_id, array_agg(id ORDER BY id) AS ids FROM members GROUP BY tenant_id
)
UPDATE tasks t
SET assignee_id = staff.ids[1 + t.id % cardinality(staff.ids)]
FROM staff
WHERE staff.tenant_id = t.tenant_id AND t.state IN ('open', 'doing') AND t.id % 5 <> 0;

UPDATE projects p
SET open_tasks = counted.open
FROM (SELECT tenant_id, project_id, count(*) AS open FROM tasks WHERE state IN ('open', 'doing') GROUP BY 1, 2) counted
WHERE counted.tenant_id = p.tenant_id AND counted.project_id = p.id;

-- The rows came with their keys; new ones go on behind the last.
SELECT setval(pg_get_serial_sequence('tenants', 'id'), (SELECT max(id) FROM tenants));
SELECT setval(pg_get_serial_sequence('members', 'id'), (SELECT max(id) FROM members));
SELECT setval(pg_get_serial_sequence('projects', 'id'), (SELECT max(id) FROM projects));
SELECT setval(pg_get_serial_sequence('tasks', 'id'), (SELECT max(id) FROM tasks));
SELECT setval(pg_get_serial_sequence('comments', 'id'), (SELECT max(id) FROM comments));
