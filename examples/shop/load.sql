-- A few rows to play with. The customers' ids are given here, so that the tour can name them; those of orders and
-- items are given too, because the items refer to their orders. Leave an id out, and the proxy makes one.

INSERT INTO regions (region_id, name) VALUES
    (1, 'North'),
    (2, 'South'),
    (3, 'East'),
    (4, 'West');

INSERT INTO products (product_id, name, price, stock) VALUES
    (1, 'Teapot', 24.50, 40),
    (2, 'Cup', 6.00, 250),
    (3, 'Saucer', 4.25, 250),
    (4, 'Kettle', 39.90, 15),
    (5, 'Green tea, 100 g', 8.75, 120);

INSERT INTO settings (name, value) VALUES
    ('currency', 'EUR'),
    ('free_shipping_from', '50.00');

INSERT INTO customers (customer_id, name, email, region_id) VALUES (1, 'Ada', 'ada@example.com', 1);
INSERT INTO customers (customer_id, name, email, region_id) VALUES (2, 'Grace', 'grace@example.com', 2);
INSERT INTO customers (customer_id, name, email, region_id) VALUES (3, 'Edsger', 'edsger@example.com', 3);
INSERT INTO customers (customer_id, name, email, region_id) VALUES (4, 'Barbara', 'barbara@example.com', 4);
INSERT INTO customers (customer_id, name, email, region_id) VALUES (5, 'Donald', 'donald@example.com', 1);
INSERT INTO customers (customer_id, name, email, region_id) VALUES (6, 'Frances', 'frances@example.com', 2);

INSERT INTO orders (customer_id, order_id, status, total) VALUES (1, 101, 'paid', 36.50);
INSERT INTO orders (customer_id, order_id, status, total) VALUES (1, 102, 'new', 8.75);
INSERT INTO orders (customer_id, order_id, status, total) VALUES (2, 103, 'sent', 39.90);
INSERT INTO orders (customer_id, order_id, status, total) VALUES (3, 104, 'new', 61.50);
INSERT INTO orders (customer_id, order_id, status, total) VALUES (4, 105, 'cancelled', 24.50);
INSERT INTO orders (customer_id, order_id, status, total) VALUES (5, 106, 'paid', 17.50);

INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (1, 101, 1001, 1, 1, 24.50);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (1, 101, 1002, 2, 2, 6.00);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (1, 102, 1003, 5, 1, 8.75);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (2, 103, 1004, 4, 1, 39.90);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (3, 104, 1005, 2, 6, 6.00);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (3, 104, 1006, 3, 6, 4.25);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (4, 105, 1007, 1, 1, 24.50);
INSERT INTO order_items (customer_id, order_id, item_id, product_id, quantity, price) VALUES (5, 106, 1008, 5, 2, 8.75);
