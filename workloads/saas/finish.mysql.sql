-- A task is given to somebody of its own company: the member whose number fits, where the tenant has any. The application
-- keeps this rule itself, so that there is no foreign key.
UPDATE tasks t
JOIN (SELECT tenant_id, count(*) AS members FROM members GROUP BY tenant_id) staff ON staff.tenant_id = t.tenant_id
JOIN (
    SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) - 1 AS position FROM members
) member ON member.tenant_id = t.tenant_id AND member.position = t.id % staff.members
SET t.assignee_id = member.id
WHERE t.state IN ('open', 'doing') AND t.id % 5 <> 0;

UPDATE projects p
JOIN (
    SELECT tenant_id, project_id, count(*) AS open_tasks FROM tasks WHERE state IN ('open', 'doing') GROUP BY 1, 2
) counted ON counted.tenant_id = p.tenant_id AND counted.project_id = p.id
SET p.open_tasks = counted.open_tasks;
