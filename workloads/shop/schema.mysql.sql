-- The shop on MariaDB and MySQL: the tables, columns and indexes of schema.sql as far as these servers have them. What differs:
-- text that is indexed has a length; there are no indexes on a part of the rows, so that their condition leads or follows the
-- key; a generated column stands for what is asked of the JSON document; words are found by a FULLTEXT index.

CREATE TABLE customers (
    id          bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email       varchar(120) NOT NULL,
    first_name  varchar(60) NOT NULL,
    last_name   varchar(60) NOT NULL,
    country     char(2) NOT NULL,
    phone       varchar(40),
    newsletter  boolean NOT NULL,
    created_at  datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE addresses (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id  bigint NOT NULL,
    position     smallint NOT NULL,              -- 1 is where orders go unless the customer says otherwise
    street       varchar(120) NOT NULL,
    postcode     varchar(12) NOT NULL,
    city         varchar(80) NOT NULL,
    country      char(2) NOT NULL
);

CREATE TABLE categories (
    id         integer NOT NULL AUTO_INCREMENT PRIMARY KEY,
    parent_id  integer,                          -- NULL at the top of the tree
    name       varchar(80) NOT NULL
);

CREATE TABLE products (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sku          varchar(30) NOT NULL,
    category_id  integer NOT NULL,
    name         varchar(160) NOT NULL,
    description  text NOT NULL,
    price_cents  integer NOT NULL CHECK (price_cents > 0),
    active       boolean NOT NULL,
    attributes   json NOT NULL,
    created_at   datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    colour       varchar(20) AS (json_unquote(json_extract(attributes, '$.colour'))) STORED,
    material     varchar(20) AS (json_unquote(json_extract(attributes, '$.material'))) STORED
);

CREATE TABLE stock (
    product_id    bigint NOT NULL,
    warehouse_id  smallint NOT NULL,
    on_hand       integer NOT NULL CHECK (on_hand >= 0),
    updated_at    datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (product_id, warehouse_id)
);

CREATE TABLE orders (
    id            bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id   bigint NOT NULL,
    status        varchar(10) NOT NULL CHECK (status IN ('new', 'paid', 'shipped', 'delivered', 'cancelled')),
    ship_city     varchar(80) NOT NULL,
    ship_country  char(2) NOT NULL,
    total_cents   integer NOT NULL DEFAULT 0,
    placed_at     datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    updated_at    datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE order_lines (
    order_id          bigint NOT NULL,
    line              smallint NOT NULL,
    product_id        bigint NOT NULL,
    quantity          smallint NOT NULL CHECK (quantity > 0),
    unit_price_cents  integer NOT NULL,
    PRIMARY KEY (order_id, line)
);

CREATE TABLE payments (
    id            bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id      bigint NOT NULL,
    method        varchar(20) NOT NULL,
    status        varchar(20) NOT NULL,
    amount_cents  integer NOT NULL,
    created_at    datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE TABLE reviews (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id   bigint NOT NULL,
    customer_id  bigint NOT NULL,
    rating       smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title        varchar(160) NOT NULL,
    body         text NOT NULL,
    created_at   datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
);

CREATE UNIQUE INDEX customers_email ON customers (email);
CREATE UNIQUE INDEX addresses_customer ON addresses (customer_id, position);
CREATE INDEX categories_parent ON categories (parent_id);
CREATE UNIQUE INDEX products_sku ON products (sku);
CREATE INDEX products_category_price ON products (category_id, active, price_cents);
CREATE FULLTEXT INDEX products_search ON products (name);
CREATE INDEX products_attributes ON products (colour, material, price_cents);
CREATE INDEX orders_customer_placed ON orders (customer_id, placed_at);
CREATE INDEX orders_placed ON orders (placed_at);
-- The work in hand is a few per cent of all orders, and what the warehouse asks for all day.
CREATE INDEX orders_open ON orders (status, placed_at);
CREATE INDEX payments_order ON payments (order_id);
CREATE INDEX reviews_product_created ON reviews (product_id, created_at, rating);

-- A foreign key has an index on these servers, whether one is asked for or not: order_lines (product_id) and
-- reviews (customer_id), which schema.sql leaves out, are there, and every insert pays for them.
ALTER TABLE addresses ADD CONSTRAINT addresses_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE categories ADD CONSTRAINT categories_parent_fk FOREIGN KEY (parent_id) REFERENCES categories (id);
ALTER TABLE products ADD CONSTRAINT products_category_fk FOREIGN KEY (category_id) REFERENCES categories (id);
ALTER TABLE stock ADD CONSTRAINT stock_product_fk FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE orders ADD CONSTRAINT orders_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);
ALTER TABLE order_lines ADD CONSTRAINT order_lines_order_fk FOREIGN KEY (order_id) REFERENCES orders (id);
ALTER TABLE order_lines ADD CONSTRAINT order_lines_product_fk FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE payments ADD CONSTRAINT payments_order_fk FOREIGN KEY (order_id) REFERENCES orders (id);
ALTER TABLE reviews ADD CONSTRAINT reviews_product_fk FOREIGN KEY (product_id) REFERENCES products (id);
ALTER TABLE reviews ADD CONSTRAINT reviews_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);
