-- The statements of the shop, in the order in which its transactions use them.

-- name: product_by_id :one
SELECT id, sku, name, description, price_cents, active, attributes
FROM products
WHERE id = :product_id;

-- name: stock_of_product :many
SELECT warehouse_id, on_hand
FROM stock
WHERE product_id = :product_id
ORDER BY warehouse_id;

-- name: latest_reviews :many
SELECT rating, title, body, created_at
FROM reviews
WHERE product_id = :product_id
ORDER BY created_at DESC
LIMIT 10;

-- name: subcategories :many
SELECT id, name
FROM categories
WHERE parent_id = :category_id
ORDER BY name;

-- name: cheapest_in_category :many
SELECT id, name, price_cents
FROM products
WHERE category_id = :category_id AND active
ORDER BY price_cents
LIMIT 24;

-- name: search_products :many
SELECT id, name, price_cents, ts_rank(search, query) AS rank
FROM products, plainto_tsquery('simple', :words) AS query
WHERE search @@ query AND active
ORDER BY rank DESC, id
LIMIT 20;

-- name: filter_products :many
SELECT id, name, price_cents
FROM products
WHERE attributes @> jsonb_build_object('colour', :colour::text, 'material', :material::text) AND active
ORDER BY price_cents
LIMIT 24;

-- name: customer_by_email :one
SELECT id AS customer_id, first_name, last_name, country
FROM customers
WHERE email = :email;

-- name: orders_of_customer :many
SELECT id, status, placed_at
FROM orders
WHERE customer_id = :customer_id
ORDER BY placed_at DESC
LIMIT 10;

-- name: order_in_full :many
SELECT o.id, o.status, o.placed_at, l.line, l.quantity, l.unit_price_cents, p.name AS product, c.name AS category
FROM orders o
JOIN order_lines l ON l.order_id = o.id
JOIN products p ON p.id = l.product_id
JOIN categories c ON c.id = p.category_id
WHERE o.id = :order_id
ORDER BY l.line;

-- name: payments_of_order :many
SELECT method, status, amount_cents, created_at
FROM payments
WHERE order_id = :order_id;

-- name: shipping_address :one
SELECT city AS ship_city, country AS ship_country
FROM addresses
WHERE customer_id = :customer_id
ORDER BY position
LIMIT 1;

-- The rows of the basket are locked in the order of their keys, so that two baskets with the same products never wait for
-- each other in a circle. Three numbers can name fewer products: then the basket is smaller.
-- name: lock_stock :many
SELECT product_id, on_hand
FROM stock
WHERE product_id IN (:product_a, :product_b, :product_c) AND warehouse_id = :warehouse_id
ORDER BY product_id
FOR UPDATE;

-- name: insert_order :one
INSERT INTO orders (customer_id, status, ship_city, ship_country)
VALUES (:customer_id, 'new', :ship_city, :ship_country)
RETURNING id AS order_id;

-- name: insert_order_lines :exec
INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price_cents)
SELECT :order_id, row_number() OVER (ORDER BY id), id, :quantity, price_cents
FROM products
WHERE id IN (:product_a, :product_b, :product_c);

-- An empty shelf is filled up at once: a checkout never fails for want of stock, however long a run lasts.
-- name: take_stock :exec
UPDATE stock
SET on_hand = CASE WHEN on_hand >= :quantity THEN on_hand - :quantity ELSE 500 END, updated_at = now()
WHERE product_id IN (:product_a, :product_b, :product_c) AND warehouse_id = :warehouse_id;

-- name: order_total :one
SELECT sum(quantity * unit_price_cents)::integer AS total_cents
FROM order_lines
WHERE order_id = :order_id;

-- name: insert_payment :exec
INSERT INTO payments (order_id, method, status, amount_cents)
VALUES (:order_id, :method, 'authorised', :total_cents);

-- name: confirm_order :exec
UPDATE orders
SET status = 'paid', total_cents = :total_cents, updated_at = now()
WHERE id = :order_id;

-- name: next_open_orders :many
SELECT id, customer_id, ship_country, placed_at
FROM orders
WHERE status IN ('new', 'paid')
ORDER BY placed_at
LIMIT 50;

-- name: advance_order :exec
UPDATE orders
SET status = CASE status WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'shipped' WHEN 'shipped' THEN 'delivered' ELSE 'shipped' END,
    updated_at = now()
WHERE id = :order_id;

-- name: insert_review :exec
INSERT INTO reviews (product_id, customer_id, rating, title, body)
VALUES (:product_id, :customer_id, :rating, :title, :body);

-- name: rating_of_product :one
SELECT count(*) AS reviews, round(avg(rating), 2) AS rating
FROM reviews
WHERE product_id = :product_id;

-- name: restock :exec
UPDATE stock
SET on_hand = on_hand + :delivered, updated_at = now()
WHERE product_id = :product_id AND warehouse_id = :warehouse_id;

-- name: revenue_by_day :many
SELECT date_trunc('day', placed_at) AS day, count(*) AS orders, count(DISTINCT customer_id) AS customers,
       sum(total_cents) AS revenue_cents
FROM orders
WHERE placed_at >= :until::timestamptz - interval '180 days' AND placed_at < :until::timestamptz
  AND status <> 'cancelled'
GROUP BY day
ORDER BY day;

-- name: best_sellers :many
SELECT p.id, p.name, sum(l.quantity) AS sold
FROM orders o
JOIN order_lines l ON l.order_id = o.id
JOIN products p ON p.id = l.product_id
WHERE o.placed_at >= :until::timestamptz - interval '2 days' AND o.placed_at < :until::timestamptz
GROUP BY p.id
ORDER BY sold DESC, p.id
LIMIT 10;
