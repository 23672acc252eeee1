use fanlight_core::Time;

use super::*;

fn log(world: &World) -> Vec<String> {
    let lines = world.picture().log.iter();
    lines
        .map(|line| format!("{} {} {:?} {}", line.seq, line.at.0, line.kind, line.sentence))
        .collect()
}

fn broker(world: &World) -> Vec<u8> {
    let mut bytes = Vec::new();
    world.page().flow().link.broker().snapshot(&mut bytes);
    bytes
}

fn assert_same(a: &World, b: &World) {
    assert_eq!(log(a), log(b));
    assert_eq!(a.picture().ledger, b.picture().ledger);
    assert_eq!(a.picture().queues, b.picture().queues);
    assert_eq!(a.picture().groups, b.picture().groups);
    assert_eq!(a.picture().actors, b.picture().actors);
    assert_eq!(a.clock().now, b.clock().now);
    assert_eq!(broker(a), broker(b));
}

/// A run with something of everything, cut into pieces of `piece`.
fn eventful(seed: u64, piece: Span) -> World {
    let mut world = World::in_page(seed);
    let to = |world: &mut World, at: u64| {
        let end = Time::from_millis(at);
        while world.clock().now < end {
            let left = end.since(world.clock().now);
            world.advance(Span(piece.0.min(left.0)));
        }
    };
    to(&mut world, 3_000);
    world.act(Act::Silence { actor: SHIPPER_1 }).unwrap();
    to(&mut world, 4_321);
    world.act(Act::Crash { actor: PAYMENT }).unwrap();
    world.act(Act::PoisonNext).unwrap();
    to(&mut world, 9_000);
    world.act(Act::Start { actor: PAYMENT }).unwrap();
    world.act(Act::Start { actor: SHIPPER_1 }).unwrap();
    world.act(Act::Burst { orders: 20 }).unwrap();
    to(&mut world, 14_500);
    world.act(Act::RedriveAll { queue: scenario::DEAD.to_owned(), messages_max: 3 }).unwrap();
    to(&mut world, 25_000);
    world
}

#[test]
fn the_same_seed_and_acts_give_the_same_run_however_it_is_cut_into_frames() {
    let whole = eventful(77, Span::from_secs(60));
    assert!(log(&whole).len() > 500);
    assert_same(&whole, &eventful(77, ms(16)));
    assert_same(&whole, &eventful(77, Span(7_654_321)));
    assert_ne!(log(&whole), log(&eventful(78, Span::from_secs(60))));
}

#[test]
fn a_script_has_the_run_again() {
    let whole = eventful(79, ms(100));
    let script = whole.script().unwrap();
    let text = serde_json::to_string(&script).unwrap();
    let again = World::from_script(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_same(&whole, &again);
    let newer = Script { version: 9, ..script };
    assert!(World::from_script(&newer).err().unwrap().contains("a newer playground wrote it"));
}

#[test]
fn going_back_and_forth_in_time_ends_where_the_run_was() {
    let mut world = eventful(80, ms(100));
    let whole = eventful(80, ms(100));
    let revision = world.revision();
    world.seek(Time::from_millis(12_000));
    assert_eq!(world.clock().now, Time::from_millis(12_000));
    assert!(log(&world).len() < log(&whole).len());
    assert!(world.revision() > revision);
    assert_eq!(world.script().unwrap().acts.len(), 7, "the acts after it are kept");
    assert_eq!(world.clock().reached, Time::from_millis(25_000));
    assert_eq!(world.tallies(), whole.tallies(), "the future that is known is still shown");
    world.seek(Time::from_millis(2_000));
    world.seek(Time::from_millis(25_000));
    assert_same(&whole, &world);
    for at in [24_999, 11_000, 10_500, 22_222, 3_000] {
        world.seek(Time::from_millis(at));
        assert_eq!(world.clock().now, Time::from_millis(at));
    }
    world.seek(Time::from_millis(25_000));
    assert_same(&whole, &world);

    world.seek(Time::from_millis(8_000));
    world.act(Act::Start { actor: PAYMENT }).unwrap();
    assert_eq!(world.script().unwrap().acts.len(), 4, "to act in the past is to branch off");
    assert_eq!(world.clock().reached, Time::from_millis(8_000));
    world.seek(Time::from_millis(25_000));
    assert_ne!(log(&world), log(&whole), "and another future comes of it");
    assert_same(&world, &World::from_script(&world.script().unwrap()).unwrap());
}

#[test]
fn a_step_runs_on_to_the_next_thing_that_happens_and_pauses() {
    let mut world = World::in_page(81);
    let mut times = Vec::new();
    for _ in 0..50 {
        let lines = world.picture().log.len();
        world.step();
        assert!(world.picture().log.len() > lines);
        let newest = world.picture().log.back().unwrap().at;
        assert_eq!(world.clock().now, newest);
        times.push(newest);
    }
    assert!(times.is_sorted());
    assert!(!world.clock().is_running);
    let mut whole = World::in_page(81);
    whole.advance(world.clock().now.since(Time::ZERO));
    assert_eq!(log(&world), log(&whole));
}

#[test]
fn frames_run_the_page_at_its_speed_and_not_at_all_when_paused() {
    let mut world = World::in_page(82);
    world.set_speed(4.0);
    for frame in 0..=60 {
        world.frame(1_000.0 + f64::from(frame) * 16.0);
    }
    assert_eq!(world.clock().now, Time::from_millis(4 * 960));
    world.pause();
    world.frame(10_000.0);
    assert_eq!(world.clock().now, Time::from_millis(4 * 960));
    world.play();
    world.frame(90_000.0);
    assert_eq!(
        world.clock().now,
        Time::from_millis(4 * 960 + 400),
        "a frame covers 100 ms at most"
    );
    world.set_speed(1_000.0);
    assert_eq!(world.clock().speed, 64.0);
}

#[test]
fn an_idle_world_changes_nothing_that_is_drawn() {
    let mut world = World::in_page(83);
    for actor in 1..=8 {
        world.advance(ms(50));
        world.act(Act::Stop { actor: ActorId(actor) }).unwrap();
    }
    world.advance(Span::from_secs(10));
    let revision = world.revision();
    world.advance(Span::from_secs(10));
    assert_eq!(world.revision(), revision);
}

#[test]
fn a_long_run_at_full_speed_stays_bounded_and_true() {
    let mut world = World::in_page(84);
    world.advance(Span::from_secs(600));
    let picture = world.picture();
    assert!(picture.ledger.published > 1_000);
    assert!(picture.log.len() <= crate::picture::LOG_MAX);
    assert!(picture.hops.len() <= crate::picture::HOPS_MAX);
    for name in ["payment", "inventory", "analytics"] {
        assert_eq!((row(&world, name).again, row(&world, name).lost), (0, 0), "{name}");
        assert!(row(&world, name).outstanding < 20, "{name}");
    }
    let shipping = row(&world, "shipping");
    assert_eq!(shipping.came, shipping.processed + shipping.outstanding + shipping.dead);
    picture_is_true(&mut world);
}
