-- The project tracker on MariaDB: the tables of schema.sql. A column that numbers itself wants an index that it leads, beside
-- the primary key that the tenant leads. There are no indexes on a part of the rows.

CREATE TABLE tenants (
    id          bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name        varchar(120) NOT NULL,
    plan        varchar(12) NOT NULL CHECK (plan IN ('free', 'team', 'business', 'enterprise')),
    created_at  datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE members (
    tenant_id  bigint NOT NULL,
    id         bigint NOT NULL AUTO_INCREMENT,
    email      varchar(120) NOT NULL,
    name       varchar(120) NOT NULL,
    role       varchar(8) NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'guest')),
    seen_at    datetime(6),
    PRIMARY KEY (tenant_id, id),
    KEY members_id (id)
);

CREATE TABLE projects (
    tenant_id    bigint NOT NULL,
    id           bigint NOT NULL AUTO_INCREMENT,
    name         varchar(120) NOT NULL,
    archived     boolean NOT NULL DEFAULT false,
    -- Kept beside the tasks, as such applications do: each task that is opened or closed updates its project.
    open_tasks   integer NOT NULL DEFAULT 0,
    created_at   datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (tenant_id, id),
    KEY projects_id (id)
);

CREATE TABLE tasks (
    tenant_id    bigint NOT NULL,
    id           bigint NOT NULL AUTO_INCREMENT,
    project_id   bigint NOT NULL,
    assignee_id  bigint,
    title        varchar(250) NOT NULL,
    body         text,
    state        varchar(8) NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'doing', 'done', 'dropped')),
    priority     smallint NOT NULL DEFAULT 2,
    due_on       date,
    labels       json NOT NULL DEFAULT ('{}'),
    created_at   datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at   datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (tenant_id, id),
    KEY tasks_id (id)
);

CREATE TABLE comments (
    tenant_id   bigint NOT NULL,
    id          bigint NOT NULL AUTO_INCREMENT,
    task_id     bigint NOT NULL,
    author_id   bigint,
    body        text NOT NULL,
    created_at  datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (tenant_id, id),
    KEY comments_id (id)
);

CREATE UNIQUE INDEX members_email ON members (tenant_id, email);
CREATE INDEX projects_active ON projects (tenant_id, archived, created_at);
CREATE INDEX tasks_board ON tasks (tenant_id, project_id, state, priority);
CREATE INDEX tasks_assignee ON tasks (tenant_id, assignee_id, due_on);
CREATE INDEX tasks_updated ON tasks (tenant_id, updated_at);
CREATE INDEX comments_task ON comments (tenant_id, task_id, created_at);

-- The tenant is part of every foreign key: no row can point into another company.
ALTER TABLE members ADD CONSTRAINT members_tenant_fk FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE projects ADD CONSTRAINT projects_tenant_fk FOREIGN KEY (tenant_id) REFERENCES tenants (id);
ALTER TABLE tasks ADD CONSTRAINT tasks_project_fk FOREIGN KEY (tenant_id, project_id) REFERENCES projects (tenant_id, id);
ALTER TABLE comments ADD CONSTRAINT comments_task_fk FOREIGN KEY (tenant_id, task_id) REFERENCES tasks (tenant_id, id);
