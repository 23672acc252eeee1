//! Views that explain, as lines.

use fanlight_core::{ConnectionDetail, DueView, JourneyView, Time};

use super::text::shown_span;

pub(super) fn shown_connection(connection: &ConnectionDetail) -> Vec<String> {
    let ConnectionDetail { id, client, watches, publishes, is_slowed, .. } = connection;
    let ConnectionDetail { consumers, members, waits, holds, .. } = connection;
    let mut lines = vec![format!(
        "connection {id} {client} watches={watches} publishes={publishes} slowed={is_slowed}"
    )];
    lines.extend(consumers.iter().map(|of| {
        let consumer = &of.consumer;
        let (holds, prefetch) = (consumer.outstanding, consumer.prefetch);
        format!("  {} of queue {} holds {holds} of {prefetch}", consumer.id, of.queue)
    }));
    lines.extend(members.iter().map(|of| format!("  {} of group {}", of.member, of.group)));
    lines.extend(waits.iter().map(|wait| format!("  {}: {}", wait.tag, wait.what)));
    lines.extend(holds.iter().map(|of| format!("  leases of queue {}: {}", of.queue, of.leases)));
    lines
}

pub(super) fn shown_due(due: &DueView) -> String {
    format!("at {} {:?}: {}", shown_span(due.at.since(Time::ZERO)), due.reason, due.what)
}

pub(super) fn shown_journey(journey: &JourneyView) -> Vec<String> {
    let steps = journey.steps.iter();
    let steps = steps.map(|step| format!("at {} {step}", shown_span(step.at.since(Time::ZERO))));
    let forgotten = (journey.forgotten > 0).then(|| format!("forgotten: {}", journey.forgotten));
    forgotten.into_iter().chain(steps).collect()
}
