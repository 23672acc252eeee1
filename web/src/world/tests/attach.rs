use std::cell::RefCell;
use std::rc::Rc;

use fanlight_core::{Batch, Op, Request, Tag, Target, Time};

use super::*;
use crate::link::{Link, PageLink, Told, Wire};
use crate::picture::{ActorState, Picture, Role};

/// A server that can be shared with strangers, and go away: then it keeps so many of its oldest
/// connections, and closes the others.
#[derive(Clone)]
struct Server(Rc<RefCell<Inside>>);

/// The broker, its connections in the order in which they came, and how many of them it keeps.
type Inside = (PageLink, Vec<Wire>, Option<usize>);

impl Server {
    fn new() -> Server {
        Server(Rc::new(RefCell::new((PageLink::new(1), Vec::new(), None))))
    }

    fn send(&self, now: Time, wire: Wire, op: Op<'_>) {
        self.0.borrow_mut().0.send(now, wire, &Request { tag: Tag(1), op });
    }
}

impl Link for Server {
    fn open(&mut self, now: Time, client: &str) -> Wire {
        let mut server = self.0.borrow_mut();
        let wire = server.0.open(now, client);
        server.1.push(wire);
        wire
    }

    fn send(&mut self, now: Time, wire: Wire, request: &Request<'_>) {
        self.0.borrow_mut().0.send(now, wire, request);
    }

    fn close(&mut self, now: Time, wire: Wire) {
        self.0.borrow_mut().0.close(now, wire);
    }

    fn take(&mut self) -> Option<(Wire, Told)> {
        let mut server = self.0.borrow_mut();
        let Some(kept) = server.2 else { return server.0.take() };
        if server.1.len() <= kept {
            return None;
        }
        let wire = server.1.pop()?;
        Some((wire, Told::Closed("the server is gone".to_owned())))
    }

    fn deadline(&self) -> Option<Time> {
        self.0.borrow().0.deadline()
    }

    fn tick(&mut self, now: Time) {
        self.0.borrow_mut().0.tick(now);
    }
}

struct Attach {
    world: World,
    server: Server,
    wall_ms: f64,
}

impl Attach {
    fn to(server: Server) -> Attach {
        let mut world = World::in_page(1);
        world.frame(0.0);
        world.attach_through(Box::new(server.clone()), "ws://test/ws");
        Attach { world, server, wall_ms: 0.0 }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.wall_ms += 20.0;
            self.world.frame(self.wall_ms);
        }
    }
}

fn batch(bodies: &[&str]) -> fanlight_core::Records<'static> {
    let mut batch = Batch::new();
    for body in bodies {
        batch.push(Some(b"k"), [], None, body.as_bytes()).unwrap();
    }
    batch.finish().unwrap()
}

#[test]
fn a_server_gets_the_order_flow_when_its_first_actor_starts_and_not_before() {
    let mut attach = Attach::to(Server::new());
    assert_eq!(attach.world.link_state(), LinkState::Connecting { url: "ws://test/ws".to_owned() });
    attach.run(1_000);
    assert_eq!(attach.world.link_state(), LinkState::Attached { url: "ws://test/ws".to_owned() });
    let picture = attach.world.picture();
    let parts =
        |picture: &Picture| (picture.queues.len(), picture.topics.len(), picture.exchanges.len());
    assert_eq!(parts(picture), (0, 0, 0));
    assert!(picture.actors.iter().all(|actor| actor.state == ActorState::Idle));
    for id in 1..=8 {
        attach.world.act(Act::Start { actor: ActorId(id) }).unwrap();
    }
    attach.run(15_000);
    let picture = attach.world.picture();
    assert_eq!(parts(picture), (2, 1, 1));
    assert!(picture.ledger.published > 20);
    assert!(row(&attach.world, "payment").processed > 15);
    assert!(!attach.world.clock().is_ours);
    attach.world.detach(5);
    assert!(attach.world.clock().is_ours);
    assert_eq!(attach.world.clock().now, Time::ZERO);
}

#[test]
fn a_server_with_a_topology_is_shown_and_left_as_it_is() {
    let mut server = Server::new();
    let stranger = server.open(Time::ZERO, "fanlight publish");
    server.send(
        Time::ZERO,
        stranger,
        Op::CreateTopic { name: "clicks".into(), partitions: 2, policy: Default::default() },
    );
    let to = Target::Topic { name: "clicks".into(), partition: Some(1) };
    let records = batch(&["early"]);
    server.send(Time::ZERO, stranger, Op::publish(to.clone(), false, records));
    let mut attach = Attach::to(server);
    attach.run(1_000);
    let picture = attach.world.picture();
    assert_eq!((picture.topics.len(), picture.queues.len()), (1, 0));
    let mark = &picture.topic("clicks").unwrap().tapes[1].marks[0];
    let story = picture.story(mark.story).unwrap();
    assert_eq!(
        story.content.as_ref().unwrap().body,
        "early",
        "it was there before, and is looked at"
    );

    let now = attach.world.clock().now;
    let records = batch(&["later", "latest"]);
    attach.server.send(now, stranger, Op::publish(to, false, records));
    attach.run(1_500);
    let picture = attach.world.picture();
    let tape = &picture.topic("clicks").unwrap().tapes[1];
    let bodies: Vec<_> = tape
        .marks
        .iter()
        .map(|m| picture.story(m.story).unwrap().content.as_ref().unwrap().body.clone())
        .collect();
    assert_eq!(bodies, ["early", "later", "latest"]);
    let actor = picture.actors.iter().find(|actor| !actor.id.is_ours()).unwrap();
    assert_eq!((&*actor.name, &actor.role, actor.done), ("fanlight publish", &Role::Producer, 2));
    assert!(tape.marks.iter().all(|mark| !mark.poison), "no business of our workers");
}

#[test]
fn what_our_actors_are_handed_of_strangers_is_known_by_its_content() {
    let mut attach = Attach::to(Server::new());
    attach.run(500);
    let stranger = attach.server.open(Time::ZERO, "fanlight publish");
    let (mut records, now) = (Batch::new(), attach.world.clock().now);
    let topic =
        Op::CreateTopic { name: scenario::TOPIC.into(), partitions: 3, policy: Default::default() };
    attach.server.send(now, stranger, topic);
    for n in 0..600 {
        let body = format!("{{\"order_id\":\"A{n}\"}}");
        records.push(Some(b"k"), [], None, body.as_bytes()).unwrap();
    }
    let to = Target::Topic { name: scenario::TOPIC.into(), partition: Some(0) };
    let records = records.finish().unwrap();
    attach.server.send(now, stranger, Op::publish(to, false, records));
    attach.world.act(Act::Start { actor: PAYMENT }).unwrap();
    attach.run(1_000);
    let log = &attach.world.picture().log;
    let done: Vec<_> =
        log.iter().map(|l| &*l.sentence).filter(|s| s.contains("processed")).collect();
    assert_eq!(done[..2], ["payment processed order A0", "payment processed order A1"]);
}

#[test]
fn a_server_that_goes_away_is_said_so_and_tried_again() {
    let mut attach = Attach::to(Server::new());
    attach.run(500);
    for id in 1..=8 {
        attach.world.act(Act::Start { actor: ActorId(id) }).unwrap();
    }
    attach.run(2_000);
    // The actors lose it before the watcher does, and so they are back before it is.
    attach.server.0.borrow_mut().2 = Some(2);
    attach.run(500);
    attach.server.0.borrow_mut().2 = Some(0);
    attach.run(100);
    let LinkState::Failed { sentence, .. } = attach.world.link_state() else { panic!() };
    assert_eq!(sentence, "the server is gone");
    // It comes back with an empty memory, as a server without a data directory does.
    let now = attach.world.clock().now;
    *attach.server.0.borrow_mut() = (PageLink::new(2), Vec::new(), None);
    attach.server.tick(now);
    attach.run(2_500);
    assert_eq!(attach.world.link_state(), LinkState::Attached { url: "ws://test/ws".to_owned() });
    let published = attach.world.picture().ledger.published;
    assert!(published < 4, "the accounts begin anew: {published}");
    attach.run(4_000);
    let shop = actor(&attach.world, ActorId(1));
    assert_eq!(shop.state, ActorState::Running, "the shop came back by itself");
    assert!(attach.world.picture().ledger.published > published + 3, "to what is there again");
    let strangers = attach.world.picture().actors.iter().filter(|actor| !actor.id.is_ours());
    assert_eq!(strangers.count(), 0, "whoever came back first is known for who it is");
}
