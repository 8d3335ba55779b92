//! Tags of generated ids.

use serde::Serialize;

use crate::proxy::Proxy;

/// The columns of `SHOW IDS`.
pub const ID_COLUMNS: &[&str] = &["tag", "code", "issued", "worker", "lease"];

/// One business tag.
#[derive(Debug, Serialize)]
pub struct IdTagView {
    /// The tag's name.
    pub tag: String,
    /// Its code in the id; none for a segment.
    pub code: Option<u16>,
    /// Ids issued since the start.
    pub issued: u64,
    /// The worker id that is leased.
    pub worker: Option<u16>,
    /// `held`, `lapsed` or `none`.
    pub lease: &'static str,
}

/// Returns the tags by name.
pub fn ids(proxy: &Proxy) -> Vec<IdTagView> {
    let permit = proxy.ids.permit();
    let lease = match &permit {
        Some(permit) if permit.is_valid_at(proxy.clock.monotonic()) => "held",
        Some(_) => "lapsed",
        None => "none",
    };
    let worker = permit.as_ref().map(|permit| permit.worker());
    let rules = &proxy.rules.load().rules;
    let view = |tag: &str| IdTagView {
        tag: tag.to_owned(),
        code: rules.ids.tags.get(tag).copied(),
        issued: rules.ids.of_tag(tag).map_or(0, |source| proxy.ids.issued(source, &rules.ids)),
        worker,
        lease,
    };
    rules.ids.tag_names().map(view).collect()
}
