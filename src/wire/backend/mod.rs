//! What servers send to clients: readers over frame bodies, writers of whole frames.

mod authentication;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use authentication::{
    Authentication, SaslInitial, password, write_auth_cleartext, write_auth_md5, write_auth_ok, write_auth_sasl,
    write_auth_sasl_continue, write_auth_sasl_final,
};
pub use read::{
    DataRow, ErrorFields, Field, backend_key, command_tag, farewell, parameter_description, parameter_status,
    ready_status, row_description,
};
pub use write::{
    write_backend_key, write_bind_complete, write_close_complete, write_command_complete, write_copy_in_response,
    write_copy_out_response, write_data_row, write_empty_query, write_error, write_error_fields, write_no_data,
    write_notice, write_parameter_description, write_parameter_status, write_parse_complete, write_portal_suspended,
    write_ready, write_row_description, write_warning,
};
