//! The handles that all threads share: one [`Proxy`], built by `server` and passed down; there is no global.
//!
//! It decides nothing. What it holds is read by sessions, the console and HTTP, and written by their owners.

mod clients;
mod drain;
mod handles;
mod health;
mod issue;
mod logins;
mod pools;
mod requests;
mod snapshot;

pub use clients::{Admission, ClientHandle, ClientInfo, ClientRegistry, ClientState, Pinned};
pub use drain::{ClientFate, Drain, DrainPhase};
pub use handles::Proxy;
pub use health::{HealthBoard, Readiness, ShardState};
pub use logins::Logins;
pub use pools::{PoolBoard, PoolFigures};
pub use requests::{ReloadAnswer, Reloaded, Requests};
pub use snapshot::{ReloadError, Rules, Snapshot};
