//! The example shop and the names that `shardloom dev` promises.

/// The database of the example.
pub const SHOP_DATABASE: &str = "shop";
/// The user that owns the databases; it may create more, and may log in to the servers directly.
pub const APP_USER: &str = "app";
/// The password of [`APP_USER`]: public on purpose, the servers listen on loopback only.
pub const APP_PASSWORD: &str = "app";
/// The superuser that owns the `shardloom` schema and may set `session_replication_role`.
pub const SERVICE_USER: &str = "shardloom_service";
/// The example's tables, to be sent through the proxy.
pub const SHOP_SCHEMA: &str = include_str!("../../examples/shop/schema.sql");
/// The example's rows, to be sent through the proxy after [`SHOP_SCHEMA`].
pub const SHOP_LOAD: &str = include_str!("../../examples/shop/load.sql");
