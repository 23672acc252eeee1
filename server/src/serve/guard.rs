//! What those who came in may do, request by request, and what they may see.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::time::Instant;

use fanlight_core::{Broker, Code, ConnId, Op, Overview, Page, Refusal, View};

use super::gate::Guest;
use crate::access::{Account, Accounts, Need, needs};

/// Those who may not do everything, by their connection.
#[derive(Default)]
pub(crate) struct Guard {
    guests: HashMap<ConnId, Guest>,
    /// Rises when queues come or go.
    queues_version: u64,
    /// How many queues there were that a user may configure, and when that was counted.
    queues: HashMap<String, (u64, u32)>,
}

impl Guard {
    /// Somebody came in.
    pub(crate) fn add(&mut self, conn: ConnId, guest: Guest) {
        if !guest.account.is_everybody() {
            self.guests.insert(conn, guest);
        }
    }

    /// Somebody went.
    pub(crate) fn remove(&mut self, conn: ConnId) {
        self.guests.remove(&conn);
    }

    /// A queue came or went.
    pub(crate) fn queues_changed(&mut self) {
        self.queues_version += 1;
    }

    /// Whether somebody may do this; if not, what it is told, and a line is written about it.
    pub(crate) fn permit(
        &mut self,
        conn: ConnId,
        op: &Op<'_>,
        broker: &Broker,
    ) -> Result<(), Refusal<'static>> {
        let Some(guest) = self.guests.get(&conn) else { return Ok(()) };
        let account = guest.account.clone();
        if let Err((need, name)) = needs(op, broker, |need, name| account.may(need, name)) {
            audit(conn, guest, op, &name, need.name());
            return Err(Code::AccessRefused.because(sentence(&account, need, &name)));
        }
        let quota = account.quota();
        let exceeded = match (op, quota.queues) {
            (Op::Publish { records, .. }, _) => {
                let wait = account.publish(records.as_bytes().len(), Instant::now()).err();
                wait.map(|wait| {
                    let rate = quota.publish_bytes_per_second.unwrap_or_default();
                    let wait = wait.max(0.1);
                    format!("publishes more than {rate} bytes a second; try again in {wait:.1} s")
                })
            }
            (Op::DeclareQueue { name, .. }, Some(max)) if !broker.has_queue(name) => {
                let count = self.queues_of(&account, broker);
                (count >= max).then(|| {
                    format!(
                        "may have {max} queues, and there are {count} whose names it may \
                         configure; delete one first"
                    )
                })
            }
            _ => None,
        };
        let Some(why) = exceeded else { return Ok(()) };
        audit(conn, &self.guests[&conn], op, "", "quota");
        Err(Code::QuotaExceeded.because(format!("the user {} {why}", account.name)))
    }

    /// How many queues there are that a user may configure. Counted when queues have come or gone.
    fn queues_of(&mut self, account: &Account, broker: &Broker) -> u32 {
        let counted = self.queues.get(&account.name).filter(|(v, _)| *v == self.queues_version);
        if let Some((_, count)) = counted {
            return *count;
        }
        let own = broker.queue_names().filter(|name| account.may(Need::Configure, name));
        let count = u32::try_from(own.count()).unwrap_or(u32::MAX);
        self.queues.insert(account.name.clone(), (self.queues_version, count));
        count
    }

    /// Users have changed: gives those who have to go, because what they came in with is not valid
    /// any more, or what they may is not what it was.
    pub(crate) fn outdated(&self, accounts: &Accounts, all: &[ConnId]) -> Vec<ConnId> {
        let still = |conn: &ConnId| {
            let Some(guest) = self.guests.get(conn) else { return false };
            accounts.named(&guest.account.name).is_some_and(|now| {
                now.accepts(guest.credential.as_ref()) && now.may_the_same(&guest.account)
            })
        };
        all.iter().copied().filter(|conn| !still(conn)).collect()
    }
}

fn sentence(account: &Account, need: Need, name: &str) -> String {
    let user = &account.name;
    match need {
        Need::Monitor => format!(
            "the user {user} may not see {name}: that takes the tag monitoring or admin (`fanlight \
             users permit {user} --tag monitoring`)"
        ),
        Need::See => {
            format!("the user {user} may not see {name:?}: no permission of it has this name")
        }
        Need::Configure | Need::Write | Need::Read => format!(
            "the user {user} may not {0} {name:?}; an admin can permit it with `fanlight users \
             permit {user} --{0} PATTERN`",
            need.name()
        ),
    }
}

fn audit(conn: ConnId, guest: &Guest, op: &Op<'_>, name: &str, reason: &'static str) {
    let Guest { account, peer, .. } = guest;
    let Some(unwritten) = account.audit(Instant::now()) else { return };
    let (user, op) = (&account.name, Name::of(op));
    tracing::warn!(target: "audit", user, %peer, conn = conn.0, op, name, missing = reason, unwritten,
        "audit: refused");
}

/// The name of a request, from what it would print, of which no more is made than that.
struct Name(String);

impl Name {
    fn of(op: &Op<'_>) -> String {
        let mut name = Name(String::new());
        // The error is how it is stopped.
        let _ = write!(name, "{op:?}");
        name.0
    }
}

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        self.0 += &text[..end];
        if end < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// What somebody may see of a view.
pub(crate) fn visible<'v>(view: &'v View<'v>, account: &Account) -> Option<View<'v>> {
    if account.monitors() {
        return None;
    }
    let sees = |name: &str| account.may(Need::See, name);
    match view {
        View::Overview(overview) => Some(View::Overview(part(overview, &sees))),
        View::Page(page) => {
            let list = part(&page.list, &sees);
            Some(View::Page(Page { list, next: page.next.clone() }))
        }
        View::Groups(groups) => {
            let seen = groups.iter().filter(|group| sees(&group.name)).cloned();
            Some(View::Groups(seen.collect()))
        }
        // For these a permission was needed.
        View::Queue(_)
        | View::Topic(_)
        | View::Group(_)
        | View::Messages(_)
        | View::Exchange(_)
        | View::Producers(_)
        | View::Connection(_)
        | View::Due(_)
        | View::Journey(_)
        | View::WorkGroup(_)
        | View::Redrives(_) => None,
    }
}

fn part(all: &Overview, sees: &dyn Fn(&str) -> bool) -> Overview {
    let mut seen = all.clone();
    seen.due = None;
    seen.connections.clear();
    seen.exchanges.retain(|exchange| sees(&exchange.name));
    seen.queues.retain(|queue| sees(&queue.name));
    seen.topics.retain(|topic| sees(&topic.name));
    seen.groups.retain(|group| sees(&group.name));
    seen.work_groups.retain(|group| sees(&group.name));
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_without_what_is_in_it() {
        let op = Op::PurgeQueue { name: "secret".into(), all: false };
        assert_eq!(Name::of(&op), "PurgeQueue");
    }
}
