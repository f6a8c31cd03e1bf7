-- The rows came with their keys; new ones go on behind the last.
SELECT setval(pg_get_serial_sequence('jobs', 'id'), (SELECT max(id) FROM jobs));
