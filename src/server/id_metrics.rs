//! What the makers of ids count, copied into the process's metrics, and told in the log where it is worth a line.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use tracing::warn;

use crate::metrics::IdEvent;
use crate::proxy::{IdFigures, Proxy};

/// What was copied so far: counters there count from the start, metrics are added to.
#[derive(Debug, Default)]
pub struct CountedIds {
    figures: IdFigures,
    renewals: u64,
    leases: u64,
    tags: HashMap<String, u64>,
}

impl CountedIds {
    /// Copies what changed since the last call.
    pub fn publish(&mut self, proxy: &Proxy) {
        let (now, outbox) = (proxy.ids.figures(), proxy.outbox.metrics());
        let renewals = outbox.lease_renewals.load(Ordering::Relaxed);
        let leases = outbox.leases_taken.load(Ordering::Relaxed);
        let grown = [
            (IdEvent::Borrowed, now.borrowed_ms, self.figures.borrowed_ms),
            (IdEvent::StepBack, now.steps_back, self.figures.steps_back),
            (IdEvent::Refused, now.refused, self.figures.refused),
            (IdEvent::Renewed, renewals, self.renewals),
            (IdEvent::Leased, leases, self.leases),
        ];
        for (event, now, before) in grown {
            proxy.metrics.id_event(event, now.saturating_sub(before));
        }
        self.tell(now);
        (self.figures, self.renewals, self.leases) = (now, renewals, leases);
        self.publish_tags(proxy);
    }

    fn tell(&self, now: IdFigures) {
        if now.steps_back > self.figures.steps_back {
            warn!(steps = now.steps_back, "the clock stepped back; ids go on from the last one");
        }
        let borrowed_ms = now.borrowed_ms.saturating_sub(self.figures.borrowed_ms);
        if borrowed_ms > 0 {
            tracing::debug!(borrowed_ms, "ids ran ahead of the clock");
        }
    }

    fn publish_tags(&mut self, proxy: &Proxy) {
        let rules = &proxy.rules.load().rules.ids;
        for tag in rules.tag_names() {
            let issued = rules.of_tag(tag).map_or(0, |source| proxy.ids.issued(source, rules));
            let before = self.tags.entry(tag.to_owned()).or_default();
            if issued > *before {
                proxy.metrics.tag_ids_issued(tag, issued - *before);
                *before = issued;
            }
        }
    }
}
