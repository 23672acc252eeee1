//! The policies of queues: whether they are sound, and how they change.

use alloc::borrow::Cow;
use alloc::format;

use super::evolve::{Evolved, broken, fresh};
use super::{Broker, Refused, span_within, within};
use crate::effect::Sink;
use crate::fact::Fact;
use crate::id::{ConnId, QueueId};
use crate::limits::{DEDUPLICATION_WINDOW_MAX, DELAY_MAX, TTL_MAX, VISIBILITY_MAX};
use crate::policy::{Backoff, QueuePolicy, QueueSetting};
use crate::queue::Queue;
use crate::refusal::Code;
use crate::time::{Span, Time};

const SHORTEST: Span = Span::from_millis(1);

impl Broker {
    pub(super) fn alter_queue(
        &mut self,
        conn: ConnId,
        name: &str,
        policy: &QueuePolicy<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.queue_for(conn, name)?;
        let now = &self.queues[&id].policy;
        if now == policy {
            return Ok(());
        }
        let fixed = [
            (now.kind != policy.kind, "kind"),
            (now.priorities != policy.priorities, "priorities"),
            (now.exclusive != policy.exclusive, "exclusive"),
            (now.keep.is_some() != policy.keep.is_some(), "keep"),
            (now.single_active != policy.single_active, "single_active"),
        ];
        if let Some((_, what)) = fixed.iter().find(|(changes, _)| *changes) {
            return Err(Code::Conflict.because(format!(
                "{what} of queue {name:?} cannot change while the queue exists; delete it and \
                 declare it again"
            )));
        }
        self.valid_policy(name, policy)?;
        let settings = policy.settings().into();
        self.record(Fact::QueueAltered { id, at: self.now, settings }, out);
        self.changed(out, || format!("queue {name} has another policy"));
        Ok(())
    }

    /// Whether a policy is sound for the queue of this name.
    pub(super) fn valid_policy(&self, name: &str, policy: &QueuePolicy<'_>) -> Result<(), Refused> {
        self.valid_bounds(policy)?;
        if let Some(why) = policy.contradiction() {
            return Err(Code::BadArgument.because(why));
        }
        if let Some(to) = &policy.dead_letter {
            self.valid_dead_letter(name, to)?;
        }
        match self.dead_letters_come_from(name).filter(|_| policy.goes_by_itself()) {
            Some(user) => Err(Code::InUse.because(format!(
                "queue {name:?} is the dead-letter queue of {:?}, so it cannot be exclusive, \
                 auto_delete or expire",
                user.name
            ))),
            None => Ok(()),
        }
    }

    fn valid_bounds(&self, policy: &QueuePolicy<'_>) -> Result<(), Refused> {
        span_within("visibility", policy.visibility, SHORTEST, VISIBILITY_MAX)?;
        span_within("retry_delay", policy.retry_delay, Span::ZERO, VISIBILITY_MAX)?;
        span_within("delay", policy.delay, Span::ZERO, DELAY_MAX)?;
        if let Some(max) = policy.deliveries_max {
            within("deliveries_max", u64::from(max), 1, u64::from(u32::MAX))?;
        }
        if let Some(max) = policy.messages_max {
            within("messages_max", max, 1, self.config.limits.queue_messages_max)?;
        }
        if let Some(max) = policy.bytes_max {
            within("bytes_max", max, 1, self.config.limits.stored_bytes_max)?;
        }
        if let Some(ttl) = policy.ttl {
            span_within("ttl", ttl, Span::ZERO, TTL_MAX)?;
        }
        if let Some(expires) = policy.expires {
            span_within("expires", expires, SHORTEST, TTL_MAX)?;
        }
        if let Some(how) = policy.deduplication {
            let what = "the deduplication window";
            span_within(what, how.window, SHORTEST, DEDUPLICATION_WINDOW_MAX)?;
        }
        if let Backoff::Exponential { max } = policy.backoff {
            span_within("the longest backoff", max, policy.retry_delay, VISIBILITY_MAX)?;
        }
        within("jitter", u64::from(policy.jitter), 0, 100)
    }

    fn valid_dead_letter(&self, name: &str, to: &str) -> Result<(), Refused> {
        if to == name {
            return Err(Code::BadArgument
                .because(format!("queue {name:?} cannot be its own dead-letter queue")));
        }
        let target = &self.queues[&self.queue_named(to)?];
        if target.policy.goes_by_itself() {
            return Err(Code::BadArgument.because(format!(
                "queue {to:?} cannot take dead letters: it is exclusive, auto_delete or expires, \
                 and they would be lost with it"
            )));
        }
        Ok(())
    }

    pub(super) fn queue_made(
        &mut self,
        id: QueueId,
        name: Cow<'_, str>,
        at: Time,
        policy: QueuePolicy<'_>,
    ) -> Evolved {
        self.saw(at);
        let name = name.into_owned();
        let is_new = !self.queue_names.contains_key(&name) && !self.queues.contains_key(&id);
        fresh(is_new, &name)?;
        self.next_queue = QueueId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
        self.queue_names.insert(name.clone(), id);
        self.dead_letters_go(id, policy.dead_letter.as_deref());
        self.queues.insert(id, Queue::new(id, name, at, policy.into_owned()));
        Ok(())
    }

    /// A queue's dead letters go to the queue of this name from now on, or nowhere.
    pub(super) fn dead_letters_go(&mut self, id: QueueId, to: Option<&str>) {
        let Broker { queues, dead_letters_of, .. } = self;
        if let Some(before) = queues.get(&id).and_then(|of| of.policy.dead_letter.as_deref())
            && let Some(users) = dead_letters_of.get_mut(before)
        {
            users.remove(id);
            if users.is_empty() {
                dead_letters_of.remove(before);
            }
        }
        if let Some(name) = to {
            self.dead_letters_of.entry(name.into()).or_default().insert(id);
        }
    }

    /// A queue whose dead letters go to the queue of this name.
    pub(super) fn dead_letters_come_from(&self, name: &str) -> Option<&Queue> {
        let user = self.dead_letters_of.get(name)?.iter().next()?;
        self.queues.get(&user)
    }

    pub(super) fn queue_altered(
        &mut self,
        id: QueueId,
        at: Time,
        settings: &[QueueSetting<'_>],
    ) -> Evolved {
        self.saw(at);
        let policy = QueuePolicy::of(settings).into_owned();
        self.queue(id)?;
        self.dead_letters_go(id, policy.dead_letter.as_deref());
        let queue = self.queue(id)?;
        queue.policy = policy;
        queue.may_expire |= queue.policy.ttl.is_some();
        queue.altered = true;
        queue.altered_at = at;
        if queue.policy.deduplication.is_none() {
            queue.memory.clear();
        }
        self.count_bytes(id);
        self.wake(id);
        Ok(())
    }
}
