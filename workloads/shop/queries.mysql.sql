-- What MariaDB and MySQL want in other words than queries.sql has them.

-- name: cheapest_in_category :many
SELECT id, name, price_cents
FROM products
WHERE category_id = :category_id AND active = 1
ORDER BY price_cents
LIMIT 24;

-- Without operators in the text, a row has any of the words; the rank is that of the FULLTEXT index.
-- name: search_products :many
SELECT id, name, price_cents, MATCH (name) AGAINST (:words) AS relevance
FROM products
WHERE MATCH (name) AGAINST (:words) AND active = 1
ORDER BY relevance DESC, id
LIMIT 20;

-- name: filter_products :many
SELECT id, name, price_cents
FROM products
WHERE colour = :colour AND material = :material AND active = 1
ORDER BY price_cents
LIMIT 24;

-- An INSERT … RETURNING is MariaDB's alone; the number of the new row is asked for instead, on the same connection.
-- name: insert_order :exec
INSERT INTO orders (customer_id, status, ship_city, ship_country)
VALUES (:customer_id, 'new', :ship_city, :ship_country);

-- name: insert_order_lines :exec
INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price_cents)
SELECT LAST_INSERT_ID(), row_number() OVER (ORDER BY id), id, :quantity, price_cents
FROM products
WHERE id IN (:product_a, :product_b, :product_c);

-- name: order_total :one
SELECT LAST_INSERT_ID() AS order_id, CAST(sum(quantity * unit_price_cents) AS SIGNED) AS total_cents
FROM order_lines
WHERE order_id = LAST_INSERT_ID();

-- name: revenue_by_day :many
SELECT date(placed_at) AS day, count(*) AS orders, count(DISTINCT customer_id) AS customers,
       sum(total_cents) AS revenue_cents
FROM orders
WHERE placed_at >= :until - INTERVAL 180 DAY AND placed_at < :until
  AND status <> 'cancelled'
GROUP BY day
ORDER BY day;

-- name: best_sellers :many
SELECT p.id, p.name, sum(l.quantity) AS sold
FROM orders o
JOIN order_lines l ON l.order_id = o.id
JOIN products p ON p.id = l.product_id
WHERE o.placed_at >= :until - INTERVAL 2 DAY AND o.placed_at < :until
GROUP BY p.id
ORDER BY sold DESC, p.id
LIMIT 10;
