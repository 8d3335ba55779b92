//! A refusal becomes a status and `{sqlstate, message, hint}`.

use axum::Json;
use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::guard::Denied;
use crate::types::{Refusal, SqlState};

/// What a handler fails with.
#[derive(Debug)]
pub struct ApiError(pub Refusal);

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let refusal = self.0;
        let body = json!({
            "sqlstate": refusal.state.code(),
            "message": refusal.message,
            "detail": refusal.detail,
            "hint": refusal.hint,
        });
        (status(refusal.state), Json(body)).into_response()
    }
}

/// Says why a request was turned away.
pub fn denied(denied: Denied) -> Response {
    let (status, refusal) = match denied {
        Denied::ForeignPage => (
            StatusCode::FORBIDDEN,
            Refusal::new(SqlState::INSUFFICIENT_PRIVILEGE, "Host or Origin does not name this machine")
                .with_hint("Ask for http://127.0.0.1 or http://localhost, or configure admin.token."),
        ),
        Denied::Token => (
            StatusCode::UNAUTHORIZED,
            Refusal::new(SqlState::INVALID_AUTHORIZATION, "the token is missing or wrong")
                .with_hint("Send Authorization: Bearer with the token of admin.token."),
        ),
    };
    let mut response = ApiError(refusal).into_response();
    *response.status_mut() = status;
    response
}

/// The most of a plain error text that is kept.
const PLAIN_TEXT_BYTES_MAX: usize = 4096;

/// Gives errors that the framework made in plain text (a body or number that does not read, a wrong method) our shape.
pub async fn in_our_shape(response: Response) -> Response {
    let status = response.status();
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if is_json || !status.is_client_error() {
        return response;
    }
    let text = to_bytes(response.into_body(), PLAIN_TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let message = if text.is_empty() { status.to_string() } else { text.into_owned() };
    let mut response = ApiError(Refusal::new(SqlState::INVALID_PARAMETER_VALUE, message)).into_response();
    *response.status_mut() = status;
    response
}

/// Picks the status by SQLSTATE: what the caller can mend is 4xx.
fn status(state: SqlState) -> StatusCode {
    if state == SqlState::UNDEFINED_OBJECT {
        return StatusCode::NOT_FOUND;
    }
    match state.class() {
        "22" | "42" => StatusCode::BAD_REQUEST,
        "25" | "40" | "55" => StatusCode::CONFLICT,
        "28" => StatusCode::FORBIDDEN,
        "0A" => StatusCode::NOT_IMPLEMENTED,
        "08" | "53" | "57" => StatusCode::SERVICE_UNAVAILABLE,
        _other_class => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_plain_error_becomes_an_object_and_keeps_its_status() {
        let plain = (StatusCode::METHOD_NOT_ALLOWED, "no").into_response();
        let response = in_our_shape(plain).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let body = to_bytes(response.into_body(), PLAIN_TEXT_BYTES_MAX).await.unwrap();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&value["sqlstate"], &value["message"]), (&json!("22023"), &json!("no")));
        let fine = in_our_shape("text".into_response()).await;
        assert_eq!(fine.status(), StatusCode::OK);
    }

    #[test]
    fn status_tells_whose_fault_it_is() {
        let cases = [
            (SqlState::UNDEFINED_OBJECT, 404),
            (SqlState::INVALID_PARAMETER_VALUE, 400),
            (SqlState::FEATURE_NOT_SUPPORTED, 501),
            (SqlState::CONNECTION_FAILURE, 503),
            (SqlState::INTERNAL_ERROR, 500),
        ];
        for (state, expected) in cases {
            assert_eq!(status(state).as_u16(), expected, "{state}");
        }
    }
}
