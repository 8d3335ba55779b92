//! PostgreSQL's wire protocol 3.x, sans-I/O: bytes in, borrowed facts out; facts in, bytes appended.
//!
//! [`frame`] finds message borders, [`startup`] reads what comes before them, [`frontend`] and [`backend`] read and
//! write the two directions' messages, [`scram`] is the server's side of SCRAM-SHA-256, [`md5`] that of old clients, [`copy_text`],
//! [`copy_csv`] and [`copy_binary`] read COPY's rows, [`copy_out`] writes them. Nothing here opens a socket, reads a clock or keeps a row; bytes from the network never panic.

pub mod backend;
pub mod copy_binary;
pub mod copy_csv;
pub mod copy_out;
pub mod copy_text;
mod cursor;
pub mod frame;
pub mod frontend;
pub mod md5;
pub mod scram;
pub mod startup;

pub use frame::FrameError;
