//! The operator's side: the views of what is there, the console database and HTTP.
//!
//! Both ways show the same views. Nothing here is on a client's path.

pub mod console;
pub mod http;
pub mod views;
