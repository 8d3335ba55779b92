//! What clients send to servers: readers over frame bodies, writers of whole frames.

mod bind;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use bind::Bind;
pub use read::{Close, Describe, Execute, Parse, Target, TypeList, called_function, query_text};
pub use write::{
    BindValue, write_bind, write_cancel, write_close, write_copy_data, write_copy_done, write_copy_fail,
    write_describe, write_execute, write_flush, write_function_call, write_parse, write_password, write_query,
    write_sasl_initial, write_sasl_response, write_ssl_request, write_startup, write_sync, write_terminate,
};
