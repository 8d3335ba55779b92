//! The handles that all threads share: one [`Proxy`], built by `server` and passed down; there is no global.
//!
//! It decides nothing. What it holds is read by sessions, the console and HTTP, and written by their owners.

mod clients;
mod drain;
mod ending;
mod handles;
mod health;
mod id_wait;
mod ids;
mod issue;
mod live;
mod logins;
mod places;
mod pools;
mod requests;
mod routes;
mod schema_changes;
mod schemas;
mod snapshot;
mod strangers;

pub use clients::{Admission, ClientHandle, ClientInfo, ClientRegistry, ClientState, Newcomer, Pinned};
pub use drain::{ClientFate, Drain, DrainPhase};
pub use ending::{EndCause, EndSignal};
pub use handles::Proxy;
pub use health::{HealthBoard, Readiness, ShardState};
pub use id_wait::{IdWait, is_waited_for, until_there};
pub use ids::{Fetched, IdFigures, Ids, SEGMENT_EMPTY, layout_of};
pub use live::Live;
pub use logins::{Candidate, Logins};
pub use pools::{PoolBoard, PoolFigures};
pub use requests::{ReloadAnswer, Reloaded, Requests, Shutdown};
pub use routes::{FINGERPRINT_BYTES_MAX, ROUTES_MAX, RouteBoard, RouteCounter, RouteFigures, RouteMode};
pub use schema_changes::{SchemaChanges, SchemaPlace};
pub use schemas::SchemaBoard;
pub use snapshot::{ReloadError, Rules, Snapshot};
pub use strangers::{Stranger, StrangerBounds, Strangers};
