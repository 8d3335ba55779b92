-- The example shop. Send it through the proxy: each table is made where the rules say.
--
-- customers, orders and order_items are colocated by the customer: one customer's rows live on one shard, so their
-- joins and transactions stay there. Their ids come from the proxy (see the Ids rules), hence no serial columns.
-- The primary keys of orders and order_items begin with the customer: unique on a shard is then unique everywhere,
-- and foreign keys stay on the shard.

CREATE TABLE customers (
    customer_id bigint PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL,
    region_id   integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    customer_id bigint NOT NULL REFERENCES customers (customer_id),
    order_id    bigint NOT NULL,
    status      text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'paid', 'sent', 'cancelled')),
    total       numeric(12, 2) NOT NULL DEFAULT 0,
    note        text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, order_id)
);

CREATE TABLE order_items (
    customer_id bigint NOT NULL,
    order_id    bigint NOT NULL,
    item_id     bigint NOT NULL,
    product_id  integer NOT NULL,
    quantity    integer NOT NULL CHECK (quantity > 0),
    price       numeric(12, 2) NOT NULL,
    PRIMARY KEY (customer_id, order_id, item_id),
    FOREIGN KEY (customer_id, order_id) REFERENCES orders (customer_id, order_id)
);

CREATE INDEX order_items_by_product ON order_items (product_id);

-- Reference tables: every shard has a copy, so that joins with them stay local.

CREATE TABLE regions (
    region_id integer PRIMARY KEY,
    name      text NOT NULL UNIQUE
);

CREATE TABLE products (
    product_id integer PRIMARY KEY,
    name       text NOT NULL,
    price      numeric(12, 2) NOT NULL CHECK (price >= 0),
    stock      integer NOT NULL DEFAULT 0
);

-- A single table: it lives on one shard.

CREATE TABLE settings (
    name  text PRIMARY KEY,
    value text NOT NULL
);
