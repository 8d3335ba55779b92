//! The integration tests: one binary, so that it is linked once.
//!
//! Each area is a file here or in `tests/parts/`; `support/` has the servers, databases, the proxy and the clients.

mod dev_command;
mod drivers;
mod hostile;
mod parts;
mod protocol;
mod sessions;
mod support;
mod support_holds;
