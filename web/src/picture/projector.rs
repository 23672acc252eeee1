//! Makes the picture: takes what the watching connection is told, and what this page's actors know
//! beyond that, and keeps everything that is drawn up to date.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use fanlight_core::{Activity, AttemptEnd, ConnId, MemberId, Offset, Time};

use super::accounts::Accounts;
use super::parts::{Actor, ActorId, ActorState, MessageRef, Name, Place, Role, StoryId};
use super::story::{Content, Hop, HopKind, Line, LineKind, Spot};
use super::{HOPS_MAX, LOG_MAX, Picture, TALLIES_MAX, Tally};

/// Nanoseconds of one tally.
const SECOND: u64 = 1_000_000_000;

/// Connections, and names of strangers, that are remembered when they are gone.
const GONE_MAX: usize = 4_096;

/// Something whose content the picture would like to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// Where it lies.
    pub(crate) place: Place,
    /// From which offset on.
    pub(crate) from: Offset,
    /// How many there may be.
    pub(crate) count: u32,
}

/// The picture in the making.
#[derive(Clone)]
pub(crate) struct Projector {
    pub(crate) picture: Picture,
    pub(super) accounts: Accounts,
    /// An overview is wanted: something came or went.
    pub(crate) is_stale: bool,
    conns: BTreeMap<ConnId, ActorId>,
    names: BTreeMap<ActorId, Name>,
    hidden: BTreeSet<ConnId>,
    pub(super) members: BTreeMap<MemberId, ActorId>,
    publication: Option<Publication>,
    /// What our actors have sent and the broker has not told of yet, in order.
    sent: BTreeMap<ActorId, VecDeque<Rc<Content>>>,
    /// How each message's last attempt ended, until it is settled.
    pub(super) returns: BTreeMap<MessageRef, (Name, AttemptEnd)>,
    /// Up to where contents were asked for.
    pub(super) looked_to: BTreeMap<Place, Offset>,
    lines: u64,
    hops: u64,
}

/// One publish, which comes to be known place by place.
#[derive(Clone)]
struct Publication {
    at: Time,
    conn: ConnId,
    exchange: Name,
    routing_key: Name,
    topics_and_queues: BTreeSet<(bool, Name)>,
    stories: Vec<StoryId>,
}

/// Where a batch came to lie.
pub(super) struct Arrival<'a> {
    pub(super) at: Time,
    pub(super) place: Place,
    pub(super) base: Offset,
    pub(super) count: u32,
    pub(super) conn: ConnId,
    pub(super) exchange: &'a str,
    pub(super) routing_key: &'a str,
}

/// What a line concerns.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) message: Option<MessageRef>,
    pub(super) stories: Vec<StoryId>,
    pub(super) actor: Option<ActorId>,
    pub(super) group: Option<Name>,
    pub(super) place: Option<Place>,
}

impl Projector {
    pub(crate) fn new() -> Projector {
        Projector {
            picture: Picture::default(),
            accounts: Accounts::default(),
            is_stale: true,
            conns: BTreeMap::new(),
            names: BTreeMap::from([(ActorId::YOU, "you".into())]),
            hidden: BTreeSet::new(),
            members: BTreeMap::new(),
            publication: None,
            sent: BTreeMap::new(),
            returns: BTreeMap::new(),
            looked_to: BTreeMap::new(),
            lines: 0,
            hops: 0,
        }
    }

    // --- who is who ---------------------------------------------------------------------------

    /// The broker may be another, or have lost what it held in memory: nothing that was known of it
    /// holds any more, and the accounts begin anew. The log stays: it tells what was.
    pub(crate) fn reconnected(&mut self) {
        self.conns.clear();
        self.hidden.clear();
        self.members.clear();
        self.publication = None;
        self.sent.clear();
        self.returns.clear();
        self.looked_to.clear();
        self.accounts.begin_anew();
        self.picture.stories.clear();
        self.picture.exchanges.clear();
        self.picture.queues.clear();
        self.picture.topics.clear();
        self.picture.groups.clear();
        self.picture.actors.retain(|actor| actor.id.is_ours());
        self.is_stale = true;
        self.lay_out();
    }

    /// One of this page's actors is on the stage.
    pub(crate) fn add_actor(&mut self, actor: Actor) {
        self.names.insert(actor.id, actor.name.clone());
        let actors = &mut self.picture.actors;
        let at = actors.partition_point(|other| other.id < actor.id);
        actors.insert(at, actor);
        self.lay_out();
    }

    /// Takes over how one of this page's actors is.
    pub(crate) fn set_actor(&mut self, actor: Actor) {
        let Some(shown) = self.picture.actors.iter_mut().find(|other| other.id == actor.id) else {
            return;
        };
        if *shown != actor {
            *shown = actor;
            self.picture.revision += 1;
        }
    }

    /// A connection is this page's own, and no part of what is shown.
    pub(crate) fn hide(&mut self, conn: ConnId) {
        self.hidden.insert(conn);
        self.drop_stranger(ActorId::stranger(conn));
    }

    /// A connection belongs to one of this page's actors.
    pub(crate) fn claim(&mut self, conn: ConnId, actor: ActorId) {
        self.conns.insert(conn, actor);
        self.drop_stranger(ActorId::stranger(conn));
    }

    fn drop_stranger(&mut self, id: ActorId) {
        let before = self.picture.actors.len();
        self.picture.actors.retain(|actor| actor.id != id);
        if self.picture.actors.len() != before {
            self.lay_out();
        }
    }

    pub(super) fn who(&self, conn: ConnId) -> ActorId {
        self.conns.get(&conn).copied().unwrap_or_else(|| ActorId::stranger(conn))
    }

    pub(super) fn name_of(&self, id: ActorId) -> Name {
        self.names.get(&id).cloned().unwrap_or_else(|| "someone".into())
    }

    pub(super) fn meet(&mut self, conn: ConnId, client: &str) {
        if self.hidden.contains(&conn) || self.conns.contains_key(&conn) {
            return;
        }
        let id = ActorId::stranger(conn);
        if self.picture.actor(id).is_some() {
            return;
        }
        let name: Name = if client.is_empty() { conn.to_string().into() } else { client.into() };
        let tag: Name = name.chars().take(2).collect::<String>().into();
        self.add_actor(Actor {
            id,
            name,
            tag,
            role: Role::Unknown,
            conn: Some(conn),
            state: ActorState::Running,
            work: None,
            held: Vec::new(),
            done: 0,
            failed: 0,
            tuning: None,
        });
    }

    fn part(&mut self, conn: ConnId) {
        let id = self.who(conn);
        self.hidden.remove(&conn);
        self.sent.remove(&id);
        if !id.is_ours() {
            self.drop_stranger(id);
        }
        // What becomes of all that it held is told after this: its name is still needed then.
        while self.conns.len() > GONE_MAX {
            self.conns.pop_first();
        }
        if self.names.len() > GONE_MAX
            && let Some((&oldest, _)) = self.names.range(ActorId::stranger(ConnId(0))..).next()
        {
            self.names.remove(&oldest);
        }
    }

    /// Strangers are known by what they do.
    pub(super) fn seen_as(&mut self, id: ActorId, role: Role) {
        if id == ActorId::YOU && self.picture.actor(id).is_none() {
            self.add_you();
        }
        let Some(actor) = self.picture.actors.iter_mut().find(|actor| actor.id == id) else {
            return;
        };
        if actor.role != role && !id.is_ours() {
            actor.role = role;
            self.lay_out();
        }
    }

    fn add_you(&mut self) {
        self.add_actor(Actor {
            id: ActorId::YOU,
            name: "you".into(),
            tag: "✎".into(),
            role: Role::Producer,
            conn: None,
            state: ActorState::Running,
            work: None,
            held: Vec::new(),
            done: 0,
            failed: 0,
            tuning: None,
        });
    }

    pub(super) fn stranger(&mut self, id: ActorId) -> Option<&mut Actor> {
        if id.is_ours() {
            return None;
        }
        self.picture.actors.iter_mut().find(|actor| actor.id == id)
    }

    // --- what happens -------------------------------------------------------------------------

    /// Takes one thing that happened in the broker.
    pub(crate) fn hear(&mut self, at: Time, activity: &Activity<'_>) {
        self.picture.now = self.picture.now.max(at);
        self.picture.revision += 1;
        match activity {
            Activity::Connected { conn, client } => {
                self.meet(*conn, client);
                self.say_client(at, *conn, client, "connected");
            }
            Activity::Disconnected { conn, client } => {
                self.say_client(at, *conn, client, "disconnected");
                self.part(*conn);
            }
            Activity::TopologyChanged { what } => {
                self.is_stale = true;
                self.say(at, LineKind::Topology, what.to_string(), About::default());
            }
            Activity::OffsetDeleted { .. }
            | Activity::Trimmed { .. }
            | Activity::Compacted { .. }
            | Activity::PartitionRevoked { .. }
            | Activity::GroupRebalancing { .. }
            | Activity::LeaderChosen { .. }
            | Activity::LeaderAssigned { .. }
            | Activity::SubscriptionChanged { .. }
            | Activity::OffsetExpired { .. }
            | Activity::MemberReturned { .. } => {
                self.is_stale = true;
                self.say(at, LineKind::Topology, activity.to_string(), About::default());
            }
            Activity::Refused { conn, refusal } => {
                let actor = self.who(*conn);
                if self.hidden.contains(conn) && actor != ActorId::YOU {
                    return;
                }
                if let Some(sent) = self.sent.get_mut(&actor) {
                    sent.pop_front();
                }
                let name = self.name_of(actor);
                let about = About { actor: Some(actor), ..About::default() };
                let sentence = format!("{name} was refused: {}", refusal.message);
                self.say(at, LineKind::Refusal, sentence, about);
            }
            Activity::ProducerReady { .. }
            | Activity::Deduplicated { .. }
            | Activity::ProducerExpired { .. }
            | Activity::TransactionBegan { .. }
            | Activity::TransactionEnded { .. } => {
                self.say(at, LineKind::Client, activity.to_string(), About::default());
            }
            Activity::Unrouted { conn, .. } => {
                let actor = self.who(*conn);
                let about = About { actor: Some(actor), ..About::default() };
                self.say(at, LineKind::Refusal, activity.to_string(), about);
            }
            Activity::ConsumerActive { .. } | Activity::CameBefore { .. } => {
                self.say(at, LineKind::Work, activity.to_string(), About::default());
            }
            Activity::Pressure { .. } => {
                self.say(at, LineKind::Topology, activity.to_string(), About::default());
            }
            Activity::Enqueued { .. }
            | Activity::Leased { .. }
            | Activity::Purged { .. }
            | Activity::Extended { .. }
            | Activity::Returned { .. }
            | Activity::Released { .. }
            | Activity::Due { .. }
            | Activity::Acked { .. }
            | Activity::DeadLettered { .. }
            | Activity::Dropped { .. }
            | Activity::DeadLetterLost { .. }
            | Activity::Redriven { .. } => self.hear_of_queue(at, activity),
            Activity::Appended { .. }
            | Activity::MemberJoined { .. }
            | Activity::MemberLeft { .. }
            | Activity::PartitionAssigned { .. }
            | Activity::Polled { .. }
            | Activity::Committed { .. }
            | Activity::Sought { .. } => self.hear_of_group(at, activity),
        }
    }

    fn say_client(&mut self, at: Time, conn: ConnId, client: &str, what: &str) {
        if self.hidden.contains(&conn) || self.conns.get(&conn) == Some(&ActorId::YOU) {
            return;
        }
        let about = About { actor: Some(self.who(conn)), ..About::default() };
        self.say(at, LineKind::Client, format!("{client} {what}"), about);
    }

    // --- publishing ---------------------------------------------------------------------------

    /// One of our actors sends this now; the broker will tell where it came to lie.
    pub(crate) fn expect(&mut self, actor: ActorId, key: Option<&str>, body: &str) {
        let content = Content {
            key: key.map(str::to_owned),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.to_owned(),
            body_bytes: body.len(),
        };
        self.sent.entry(actor).or_default().push_back(Rc::new(content));
    }

    /// The stories of a batch that came to lie somewhere: those of the same publish, where it lies
    /// elsewhere already.
    pub(super) fn arrive(&mut self, arrival: &Arrival<'_>) -> Vec<StoryId> {
        let actor = self.who(arrival.conn);
        self.seen_as(actor, Role::Producer);
        let place = match &arrival.place {
            Place::Queue(queue) => (true, queue.clone()),
            Place::Partition(topic, _) => (false, topic.clone()),
        };
        let same = self.publication.as_mut().filter(|publication| {
            !arrival.exchange.is_empty()
                && publication.at == arrival.at
                && publication.conn == arrival.conn
                && &*publication.exchange == arrival.exchange
                && &*publication.routing_key == arrival.routing_key
                && publication.stories.len() == arrival.count as usize
                && !publication.topics_and_queues.contains(&place)
        });
        let refs = (0..u64::from(arrival.count))
            .map(|n| MessageRef { place: arrival.place.clone(), offset: arrival.base.plus(n) });
        if let Some(publication) = same {
            publication.topics_and_queues.insert(place);
            let stories = publication.stories.clone();
            for (id, message) in stories.iter().zip(refs) {
                self.picture.stories.also_at(*id, &message);
            }
            return stories;
        }
        let stories: Vec<_> = refs.map(|message| self.picture.stories.of(&message)).collect();
        let first = MessageRef { place: arrival.place.clone(), offset: arrival.base };
        let sent = self.sent.get_mut(&actor).and_then(VecDeque::pop_front);
        if let (Some(content), [id]) = (sent, &stories[..]) {
            self.picture.stories.learn(*id, &first, &content);
        }
        self.accounts.published += stories.len() as u64;
        self.tally(arrival.at, |tally| tally.published += arrival.count);
        if let Some(actor) = self.stranger(actor) {
            actor.done += u64::from(arrival.count);
        }
        self.publication = Some(Publication {
            at: arrival.at,
            conn: arrival.conn,
            exchange: arrival.exchange.into(),
            routing_key: arrival.routing_key.into(),
            topics_and_queues: BTreeSet::from([place]),
            stories: stories.clone(),
        });
        stories
    }

    /// The line and the movement of a batch that came to lie somewhere.
    pub(super) fn tell_arrival(&mut self, arrival: &Arrival<'_>, stories: Vec<StoryId>) {
        let actor = self.who(arrival.conn);
        let first = MessageRef { place: arrival.place.clone(), offset: arrival.base };
        let via = match (arrival.exchange, arrival.routing_key) {
            ("", _) => String::new(),
            (exchange, "") => format!(" through exchange {exchange}"),
            (exchange, key) => format!(" through exchange {exchange} (key {key})"),
        };
        let what = match arrival.count {
            1 => self.called(&first),
            count => format!("{count} messages from offset {}", arrival.base),
        };
        let place = &arrival.place;
        let sentence = format!("{} published {what}{via}: it lies in {place}", self.name_of(actor));
        self.hop(Hop {
            seq: 0,
            at: arrival.at,
            kind: HopKind::Publish,
            from: Spot::Actor(actor),
            via: (!arrival.exchange.is_empty()).then(|| arrival.exchange.into()),
            to: spot(&first),
            story: stories.first().copied(),
            count: arrival.count,
            attempt: 1,
            poison: false,
        });
        let about = About {
            message: Some(first),
            stories,
            actor: Some(actor),
            place: Some(place.clone()),
            group: None,
        };
        self.say(arrival.at, LineKind::Publish, sentence, about);
    }

    // --- lines, movements, tallies ------------------------------------------------------------

    /// What to call a message in a sentence.
    pub(super) fn called(&self, message: &MessageRef) -> String {
        match self.picture.story_at(message).and_then(|id| self.picture.story(id)) {
            Some(story) if story.content.is_some() => story.called.to_string(),
            Some(_) | None => message.to_string(),
        }
    }

    /// Writes a line.
    pub(super) fn say(&mut self, at: Time, kind: LineKind, sentence: String, about: About) -> u64 {
        self.lines += 1;
        let line = Rc::new(Line {
            seq: self.lines,
            at,
            kind,
            sentence: sentence.into(),
            message: about.message,
            story: about.stories.first().copied(),
            actor: about.actor,
            group: about.group,
            place: about.place,
        });
        for id in about.stories {
            self.picture.stories.tell(id, &line);
        }
        self.picture.log.push_back(line);
        if self.picture.log.len() > LOG_MAX {
            self.picture.log.pop_front();
        }
        self.picture.revision += 1;
        self.lines
    }

    /// The number of the newest line.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// What a line about one message concerns.
    pub(super) fn about(&self, message: &MessageRef, actor: Option<ActorId>) -> About {
        About {
            message: Some(message.clone()),
            stories: self.picture.story_at(message).into_iter().collect(),
            actor,
            group: None,
            place: Some(message.place.clone()),
        }
    }

    pub(super) fn hop(&mut self, hop: Hop) {
        self.hops += 1;
        let poison = hop.story.is_some_and(|id| self.picture.stories.is_poison(id));
        self.picture.hops.push_back(Hop { seq: self.hops, poison, ..hop });
        if self.picture.hops.len() > HOPS_MAX {
            self.picture.hops.pop_front();
        }
    }

    /// The movement of one message.
    pub(super) fn move_one(
        &mut self,
        at: Time,
        kind: HopKind,
        message: &MessageRef,
        (from, to): (Spot, Spot),
        attempt: u32,
    ) {
        let story = self.picture.story_at(message);
        self.hop(Hop {
            seq: 0,
            at,
            kind,
            from,
            via: None,
            to,
            story,
            count: 1,
            attempt,
            poison: false,
        });
    }

    pub(super) fn tally(&mut self, at: Time, add: impl FnOnce(&mut Tally)) {
        let second = Time(at.0 - at.0 % SECOND);
        let tallies = &mut self.picture.tallies;
        if tallies.back().is_none_or(|tally| tally.at < second) {
            tallies.push_back(Tally { at: second, ..Tally::default() });
            if tallies.len() > TALLIES_MAX {
                tallies.pop_front();
            }
        }
        if let Some(tally) = tallies.back_mut() {
            add(tally);
        }
    }

    /// Parts came or went.
    pub(super) fn lay_out(&mut self) {
        self.picture.layout_revision += 1;
        self.picture.revision += 1;
    }
}

/// Where a message is drawn.
pub(super) fn spot(message: &MessageRef) -> Spot {
    match &message.place {
        Place::Queue(queue) => Spot::Queue { queue: queue.clone(), offset: message.offset },
        Place::Partition(topic, partition) => {
            Spot::Partition { topic: topic.clone(), partition: *partition, offset: message.offset }
        }
    }
}
