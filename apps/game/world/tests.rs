//! Players in a world, with no packets.

use std::time::Duration;

use super::*;
use crate::protocol::{EntryFlags, Move};
use crate::rules::{DEATH, HEALTH};

const OWN: ([u8; 4], u16) = ([10, 77, 0, 1], 8080);

fn source(port: u16) -> SocketAddr {
    ([10, 77, 0, 2], port).into()
}

fn world(players: u32) -> World {
    let rules = Rules::new(players, Some(1000.0), 50.0).expect("a world");
    World::new(1, rules, Seats::new(players), HashKey([1, 2]))
}

fn seconds(seconds: u64) -> Time {
    Time::ZERO + Duration::from_secs(seconds)
}

#[test]
fn there_are_as_many_players_as_seats() {
    let mut world = world(2);
    let first = world.join(Time::ZERO, source(1), OWN.into()).expect("a place");
    let second = world.join(Time::ZERO, source(2), OWN.into()).expect("a place");
    assert_ne!(first, second);
    assert_eq!((lcore_of(first), lcore_of(second)), (1, 1));
    assert_eq!(world.join(Time::ZERO, source(3), OWN.into()), None);
    assert_eq!(world.players.len(), 2);
    assert!(world.players.remove(first).is_some());
    let third = world.join(Time::ZERO, source(3), OWN.into()).expect("the place that is free");
    assert_ne!(third, first, "the number is another, though the place is the same");
    assert!(world.known(first, source(1)).is_none());
    assert!(world.players.remove(first).is_none(), "it is gone already");
    assert_eq!(world.players.len(), 2);
}

#[test]
fn a_place_has_63_numbers_and_none_is_zero() {
    let mut world = world(1);
    let mut ids = Vec::new();
    for _ in 0..64 {
        let id = world.join(Time::ZERO, source(1), OWN.into()).expect("a place");
        assert_ne!(id, PlayerId::NOBODY);
        ids.push(id);
        world.players.remove(id);
    }
    assert_eq!(ids[0], ids[63]);
    ids.pop();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 63);
}

#[test]
fn players_are_found_by_where_they_send_from() {
    let mut world = world(1000);
    let ids: Vec<_> =
        (1..=1000).filter_map(|port| world.join(Time::ZERO, source(port), OWN.into())).collect();
    for (id, port) in ids.iter().zip(1..) {
        assert_eq!(world.players.of_source(source(port)).map(|player| player.id), Some(*id));
    }
    world.players.rebind(ids[4], source(2000), OWN.into());
    assert!(world.players.of_source(source(5)).is_none());
    assert_eq!(world.players.of_source(source(2000)).map(|player| player.id), Some(ids[4]));
    assert!(world.known(ids[4], source(5)).is_none() && world.known(ids[4], source(2000)).is_some());
    world.players.remove(ids[4]);
    assert!(world.players.of_source(source(2000)).is_none());
}

#[test]
fn tokens_and_places_are_the_seeds() {
    let of = |seed| {
        let rules = Rules::new(9, Some(1000.0), 50.0).expect("a world");
        let mut world = World::new(0, rules, Seats::new(9), HashKey(seed));
        let id = world.join(Time::ZERO, source(1), OWN.into()).expect("a place");
        world.players.player(id).map(|player| (player.token, player.position)).expect("a player")
    };
    assert_eq!(of([1, 2]), of([1, 2]));
    assert_ne!(of([1, 2]).0, of([1, 3]).0);
    assert!(Rules::new(9, Some(1000.0), 50.0).is_ok_and(|rules| rules.contains(of([1, 2]).1)));
}

/// A player in the middle of the world, a second old.
fn walker() -> (World, PlayerId) {
    let mut world = world(2);
    let id = world.join(Time::ZERO, source(1), OWN.into()).expect("a place");
    world.players.player(id).expect("a player").position = Vector { x: 500.0, y: 0.0, z: 500.0 };
    (world, id)
}

fn step(world: &mut World, id: PlayerId, now: Time, to: [f32; 3], velocity: f32) -> Step {
    let [x, y, z] = to;
    let velocity = Vector { x: velocity, y: 0.0, z: 0.0 };
    let rules = world.rules;
    let player = world.players.player(id).expect("a player");
    player.step(now, &Move { player: id, position: Vector { x, y, z }, velocity }, 0, &rules)
}

#[test]
fn nobody_is_faster_than_the_top_speed() {
    let (mut world, id) = walker();
    assert_eq!(
        step(&mut world, id, Time::ZERO, [500.1, 0.0, 500.0], 1.0),
        Step::Refused,
        "no time has passed"
    );
    assert_eq!(step(&mut world, id, seconds(1), [509.9, 0.0, 500.0], 1.0), Step::Taken);
    assert_eq!(
        step(&mut world, id, seconds(1), [510.5, 0.0, 500.0], 1.0),
        Step::Refused,
        "it has gone its way"
    );
    assert_eq!(step(&mut world, id, seconds(2), [519.8, 0.0, 500.0], 1.0), Step::Taken);
    assert_eq!(
        step(&mut world, id, seconds(60), [540.0, 0.0, 500.0], 1.0),
        Step::Refused,
        "a second is saved up"
    );
    assert_eq!(
        step(&mut world, id, seconds(60), [529.7, 0.0, 500.0], 10.1),
        Step::Refused,
        "says it is faster"
    );
    assert_eq!(step(&mut world, id, seconds(60), [529.7, 0.0, 500.0], 10.0), Step::Taken);
}

#[test]
fn nobody_leaves_the_world() {
    let (mut world, id) = walker();
    for (place, to) in [([999.0, 0.0, 5.0], [1000.5, 0.0, 5.0]), ([5.0, 0.0, 5.0], [5.0, -0.5, 5.0])] {
        let [x, y, z] = place;
        world.players.player(id).expect("a player").position = Vector { x, y, z };
        assert_eq!(step(&mut world, id, seconds(9), to, 0.0), Step::Refused);
    }
}

#[test]
fn attacks_have_a_range_a_rest_and_an_end() {
    let (mut world, id) = walker();
    let other = world.join(Time::ZERO, source(2), OWN.into()).expect("a place");
    let from = Vector { x: 500.0, y: 0.0, z: 500.0 };
    world.players.player(other).expect("a player").position = Vector { x: 502.0, y: 0.0, z: 502.0 };
    let sword = weapon(0).expect("a sword");
    let strike = Strike { attack: Attack { attacker: id, target: other, weapon: 0 }, from, timestamp: 0 };
    let mut now = Time::ZERO;
    for health in [75, 50, 25] {
        assert_eq!(world.players.player(id).expect("a player").swing(now, sword), Ok(()));
        assert_eq!(world.players.player(id).expect("a player").swing(now, sword), Err(Outcome::TOO_EARLY));
        let result = world.suffer(now, &strike);
        assert_eq!((result.outcome, result.health), (Outcome::HIT, health));
        now = now + sword.cooldown;
    }
    let far = Strike { from: Vector { x: 499.0, ..from }, ..strike };
    assert_eq!(world.suffer(now, &far).outcome, Outcome::OUT_OF_RANGE);
    assert_eq!(world.suffer(now, &strike).outcome, Outcome::KILLED);
    assert_eq!(world.suffer(now, &strike).outcome, Outcome::NO_TARGET, "the dead are left alone");
    let dead = world.players.player(other).expect("a player");
    assert_eq!(dead.swing(now + sword.cooldown, sword), Err(Outcome::DEAD));
    assert!(dead.tell().flags.has(EntryFlags::DEAD.with(EntryFlags::FIGHTS)));
    assert!(!dead.may_revive(now) && dead.may_revive(now + DEATH));
    dead.revive(now + DEATH, from);
    assert_eq!((dead.health, dead.is_changed, dead.position), (HEALTH, true, from));
    assert_eq!(dead.tell().flags, EntryFlags::default());
    let beside = [from.x + 0.1, from.y, from.z];
    assert_eq!(step(&mut world, other, now + DEATH, beside, 0.0), Step::Refused, "death saves up no way");
    let oneself = Strike { attack: Attack { target: id, ..strike.attack }, ..strike };
    assert_eq!(world.suffer(now, &oneself).outcome, Outcome::NO_TARGET);
    let nobody = Strike { attack: Attack { target: PlayerId(77), ..strike.attack }, ..strike };
    assert_eq!(world.suffer(now, &nobody).outcome, Outcome::NO_TARGET);
}
