insert into carts (user_id, item) values (42, 'x')

INSERT INTO public.carts(user_id,item) VALUES(42,'x');

insert into carts as c (item, user_id) values ('it''s, (1)', 43) returning c.*

insert into carts values (42, 'x', 3)

insert into carts values (42)

-- no catalog
insert into carts values (42, 'x', 3)

-- no catalog
insert into carts (user_id) values (42)

insert into carts values (42, 'x', 3, 4)

insert into carts (user_id, item) values (1)

insert into carts (user_id) values (1, 2)

insert into carts (user_id, item) values (1, 'a'), (2)

insert into carts (item) values ('x')

insert into carts (user_id, item) values (null, 'x')

insert into carts (user_id, item) values (1, 'x'), (null, 'y')

insert into carts (user_id, item) values (default, 'x')

insert into carts default values

insert into carts (user_id, item) values (1 + 1, 'x')

insert into carts (user_id, item) values (abs(-1), 'x')

insert into carts (user_id, item) values ('abc', 'x')

insert into carts (user_id, item) values (9223372036854775808, 'x')

insert into carts (user_id, item) values ('42'::bigint, 'x')

insert into carts (user_id, item) values (cast('42' as bigint), $$x, ($$)

insert into carts (user_id, item) values (-42, E'x\'),(')

insert into carts (user_id, item) values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')

insert into carts (user_id, item) values (1, 'a'), (1, 'b')

insert into carts (user_id, item)
values
  (1, 'é''),('), -- one, (
  (2, $q$),($q$), /* two /* nested ), */ */
  (3, U&'\0041')
returning user_id, item

-- params: 1|a|2|b|3|c
insert into carts (user_id, item) values ($1, $2), ($3, $4), ($5, $6)

-- params: a|b|c|3|2|1
insert into carts (user_id, item) values ($6, $1), ($5, $2), ($4, $3)

-- params: 1|a|2
insert into carts (user_id, item) values ($1, $2), ($3, $2) on conflict (user_id, item) do update set n = $1 returning n + $3

-- params: 1|a
insert into carts (user_id, item) values ($1, $2), ($1, $2 || 'x')

-- params: \N|a
insert into carts (user_id, item) values ($1, $2)

-- params: 12x|a
insert into carts (user_id, item) values ($1, $2)

-- params: 1|a
insert into carts (user_id, item) values ($1::bigint, $2::text), (2, $2)

-- params: 1|a
insert into carts (user_id, item) values ($1 + 1, $2)

-- # ids
insert into orders (user_id, note) values (1, 'a')

insert into orders (user_id, note) values (1, 'a') returning order_id

insert into orders (user_id, note) values (1, 'a'), (2, 'b'), (3, 'c') returning order_id

insert into orders (order_id, user_id) values (default, 1), (77, 2), (DEFAULT, 3)

insert into orders (order_id, user_id) values (77, 1)

insert into orders values (default, 1, 'a')

insert into orders values (default, 1, 'a'), (default, 2, 'b')

insert into orders values (5, 1, 'a')

insert into order_items values (1)

insert into order_items as i values (1), (2)

-- no catalog
insert into orders values (default, 1)

-- no catalog
insert into orders (user_id) values (1)

-- params: 1|a
insert into orders (user_id, note) values ($1, $2)

-- params: 1|a|2
insert into orders (user_id, note) values ($1, $2), ($3, $2) returning *

-- params:
insert into orders (user_id) values (1)

-- params: 1|2
insert into orders (order_id, user_id) values (default, $1), ($2, $2)

insert into orders (order_id, user_id) overriding system value values (default, 1)

insert into orders (order_id, user_id, note) values (shardloom.next_id('order'), 1, 'a'), (shardloom.next_id('item'), 1, 'b')

insert into orders (order_id, user_id) values (shardloom.next_id('nothing'), 1)

insert into orders (user_id, note) values (1, 'n' || shardloom.next_id('item')), (2, shardloom.next_id('order')::text) returning note

-- params: x
insert into orders (user_id, note) values (1, $1 || shardloom.next_id('item'))

insert into orders (user_id, note) values (1 + shardloom.next_id('item'), 'a')

-- params: item
insert into orders (user_id, note) values (1, shardloom.next_id($1)::text)

insert into carts (user_id, item) select 1, shardloom.next_id('item')::text

insert into accounts (owner) values ('ann')

insert into accounts (owner) values ('ann'), ('bob'), ('cid')

insert into accounts default values

-- params:
insert into accounts default values returning account_id

-- params: ann
insert into accounts values (default, $1)

insert into accounts (account_id, owner) values (shardloom.next_id('account'), 'ann')

insert into accounts (account_id, owner) values (7, 'ann')

insert into tickets (title) values ('a'), ('b')

insert into tickets default values

insert into tickets (ticket_id, title) values (3, 'a')

-- params: a
insert into tickets (title) values ($1)

-- # other keys
insert into names (name, n) values ('ann', 1), (E'b\'ob', 2), ($$cid$$, 3)

insert into names (name, n) values (12, 1)

insert into documents (id) values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')

insert into documents (id) values (gen_random_uuid())

insert into documents (id) values ('a0eebc99')

insert into app.visits values (1), (2)

insert into visits values (1), (2)

insert into "Carts" ("user_id") values (1)

insert into "carts" ("user_id", "item""s") values (1, 2)

-- # on conflict
insert into carts (user_id, item) values (1, 'a'), (2, 'b') on conflict (user_id, item) do nothing

insert into carts (user_id, item) values (1, 'a') on conflict (item) do nothing

insert into carts (user_id, item) values (1, 'a') on conflict do nothing

-- no catalog
insert into carts (user_id, item) values (1, 'a') on conflict do nothing

insert into order_items (item_id, user_id) values (1, 1) on conflict do nothing

insert into orders (order_id, user_id) values (1, 1) on conflict (order_id) do update set note = excluded.note where orders.note is null returning *

insert into orders (order_id, user_id) values (1, 1) on conflict on constraint orders_pkey do nothing

insert into orders (order_id, user_id) values (1, 1) on conflict on constraint other do nothing

insert into carts (user_id, item) values (1, 'a') on conflict (user_id, item) do update set user_id = 2

insert into carts (user_id, item) values (1, 'a') on conflict (user_id, item) do update set (item, user_id) = ('b', 2)

insert into carts (user_id, item) values (1, 'a') on conflict (user_id, item) where n > 0 do update set n = carts.n + 1, item = 'x'

-- # reference, single, unlisted
insert into regions (id, name) values (1, 'a'), (2, 'b')

insert into regions default values

insert into rates values (1)

insert into settings values ('a', 'b'), ('c', now()::text)

insert into unlisted_one values (1), (2)

insert into settings (name) select name from settings

insert into settings (name) select name from regions where id = 1

insert into settings (name) select note from orders

insert into settings (name) select name from unlisted_one

insert into unlisted_one (a) select b from unlisted_two join regions on true

insert into regions (id, name) select id + 10, name from regions

insert into tickets (title) select name from regions

insert into tickets (ticket_id, title) select id, name from regions

-- # subqueries beside values
insert into carts (user_id, item) values (1, (select name from regions where id = 1))

insert into carts (user_id, item) values (1, (select name from regions)), (2, 'b'), (3, 'c')

insert into carts (user_id, item) values (1, (select note from orders limit 1))

insert into carts (user_id, item) values ((select 1), 'a')

with r as (select name from regions) insert into carts (user_id, item) values (1, (select name from r))

with d as (delete from regions returning name) insert into carts (user_id, item) values (1, (select name from d))

with orders as (select 1) insert into settings select 'a' from orders

with d as (delete from regions returning name) insert into settings select name from d

with d as (update regions set name = 'x' returning name) insert into settings select name from d

with d as (insert into regions values (1) returning name) insert into settings select name from d

with d as (delete from carts using orders where true returning item) insert into unlisted_one select item from d

insert into settings select name from regions for update

with d as (delete from settings returning name) insert into settings select name from d

-- # insert … select
insert into carts (user_id, item) select 1, 'a'

insert into carts (user_id, item) select 1, 'a' where false

insert into carts (user_id, item) select user_id, note from orders where extract(year from created) = 2026 and user_id = 1

insert into carts (user_id, item) select user_id, note from orders where user_id = 1

insert into carts (user_id, item) select o.user_id, o.note as item from orders as o where o.note = 'x' and 1 = o.user_id

insert into carts (user_id, item) select 1, note from orders where user_id = 1

insert into carts (user_id, item) select 2, note from orders where user_id = 1

insert into carts (user_id, item) select order_id, note from orders where user_id = 1

insert into carts (user_id, item) select user_id, note from orders

insert into carts (user_id, item) select user_id, note from orders where user_id = 1 or true

insert into carts (user_id, item) select user_id, note from orders where not user_id = 1

insert into carts (user_id, item) select user_id, max(note) from orders where user_id = 1 group by user_id

insert into carts (user_id, item) select * from orders where user_id = 1

insert into carts (user_id, item) select 1, name from regions

insert into carts (user_id, item) select id, name from regions

insert into carts (user_id, item) select user_id, note from orders, regions where user_id = 1

insert into carts (user_id, item) select user_id, note from events where user_id = 1

insert into carts (user_id, item) values (1, 'a'), (2, 'b') order by 1 limit 1

insert into event_log (user_id, n) select user_id, n from events returning n

-- params: 1
insert into event_log (user_id, n) select user_id, n from events where user_id = $1

insert into orders (user_id, note) select user_id, item from carts where user_id = 1

insert into orders (order_id, user_id) select n, user_id from carts where user_id = 1

-- # effects
insert into events (user_id, n) values (1, 1), (2, 2), (3, 3)

insert into events (user_id, n) values (1, 1)

insert into events (event_id, user_id) values (1, 1), (2, 2)

insert into events (user_id, n) values (1, 1), (2, 2) returning event_id

insert into events (user_id, n) values (1, 1), (2, 'x')

insert into events (user_id, n) values (1, 1), (2, 2147483648)

insert into events (user_id, n) values (1, random()), (2, 2)

insert into event_log (user_id, n, note) values (1, 1, 'a'), (2, null, 'b')

insert into event_log (user_id, n) values (1, 1), (2, 2) on conflict (user_id, n) do nothing

-- params: 1|2|\N
insert into event_log (user_id, n, note) values ($1, $2, $3), ($2, $1, $3)

insert into single_shard_only (k) values (1), (2), (3)

insert into carts (user_id, item) values (1, now()::text), (2, 'x')

insert into carts (user_id, item) values (1, 'é'), (2, current_date::text), (3, now()::text)

insert into carts (user_id, item) values (1, 'a'), (2, nextval('s')::text)

-- # not read
insert into carts (user_id) values (1); insert into carts (user_id) values (2)

insert into carts (user_id) values (1

insert into carts (user_id[1]) values (1)

insert into a.b.c (user_id) values (1)

insert into orders (user_id, created) values (1, default), (2, '2024-01-01'), (2, default)

insert into orders values (1, 1), (2, 2)

insert into carts (user_id, item) values (1, 'x'), (2, 'y') on conflict (user_id) do update set user_id = excluded.user_id, item = excluded.item

insert into carts (user_id, item) values (1, 'x') on conflict (item, user_id) do update set user_id = excluded.item

insert into orders (user_id, note) values (1, 'a'), (2, 'b') on conflict (order_id) do update set created = default
