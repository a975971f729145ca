//! Updates: who hears of whom, when, and in how many parts.

use super::*;
use crate::protocol::ENTRIES_MAX;

#[test]
fn a_move_is_heard_of_nearby_at_the_next_tick_and_nowhere_else() {
    let mut lab = fast_lab(10, 500.0);
    let walker = join(&mut lab, "10.77.0.2:4000");
    go(&mut lab, "10.77.0.2:4000", walker.player, place(75.0, 75.0));
    let near = join(&mut lab, "10.77.0.2:4001");
    go(&mut lab, "10.77.0.2:4001", near.player, place(140.0, 140.0));
    tick(&mut lab);
    lab.advance(Duration::from_millis(10));
    everything(&mut lab);
    let step = move_message(walker.player, place(75.5, 75.0), 0xa_0000_0b0c);
    assert!(ask(&mut lab, "10.77.0.2:4000", &step).is_some());
    let sent = tick(&mut lab);
    let of = |to| entries(&sent, to).into_iter().find(|entry| entry.player == walker.player);
    let entry = of("10.77.0.2:4001").expect("who is in the next cell hears of it");
    assert_eq!((entry.position, entry.stamp), (place(75.5, 75.0), 0x0b0c));
    assert_eq!(of("10.77.0.2:4000"), Some(entry), "it hears of itself");
    let update = updates(&sent, "10.77.0.2:4001")[0];
    assert_eq!((update.head.cell, update.head.part, update.head.parts), ([2, 2], 0, 1));
    assert_eq!(update.head.tick, lab.service().ticks.number);
    close(lab);
}

#[test]
fn who_does_nothing_is_heard_of_once_a_second() {
    let mut lab = lab(10, 40.0);
    join(&mut lab, "10.77.0.2:4000");
    let idle = join(&mut lab, "10.77.0.2:4001").player;
    let first = tick(&mut lab);
    assert!(entries(&first, "10.77.0.2:4000").iter().any(|entry| entry.player == idle), "it is new");
    let mut heard = 0;
    let mut previous = None;
    for _ in 0..30 {
        let sent = tick(&mut lab);
        heard += entries(&sent, "10.77.0.2:4000").iter().filter(|entry| entry.player == idle).count();
        for update in updates(&sent, "10.77.0.2:4000") {
            let expected = previous.replace(update.head.tick).unwrap_or(update.head.previous);
            assert_eq!(update.head.previous, expected, "each names the one before");
        }
    }
    assert_eq!(heard, 1);
    close(lab);
}

#[test]
fn a_crowd_is_told_in_parts_and_everybody_once() {
    let mut lab = lab(200, 40.0);
    for index in 0..150 {
        join(&mut lab, &format!("10.77.0.2:{}", 4000 + index));
    }
    let sent = tick(&mut lab);
    let parts = updates(&sent, "10.77.0.2:4007");
    let mut heard: Vec<_> = entries(&sent, "10.77.0.2:4007").iter().map(|entry| entry.player).collect();
    assert_eq!(parts.len(), heard.len().div_ceil(ENTRIES_MAX));
    for (number, update) in parts.iter().enumerate() {
        assert_eq!((usize::from(update.head.part), usize::from(update.head.parts)), (number, parts.len()));
    }
    heard.sort_unstable();
    let all = heard.len();
    heard.dedup();
    assert_eq!(heard.len(), all, "everybody once");
    // Some may have been told of in a tick while others still came.
    assert!(all > 4 * ENTRIES_MAX, "{all}");
    assert_eq!(count(&lab, Event::EntriesCut), 0);
    close(lab);
}

#[test]
fn answers_do_not_wait_for_the_end_of_a_tick() {
    let mut lab = lab(400, 40.0);
    let welcome = join(&mut lab, "10.77.0.2:4000");
    for index in 1..400 {
        join(&mut lab, &format!("10.77.0.2:{}", 4000 + index));
    }
    tick(&mut lab);
    lab.advance(TICK);
    everything(&mut lab);
    let (mut turns, mut between) = (0, 0);
    while lab.service().round.is_under_way() {
        lab.advance(Duration::from_micros(100));
        everything(&mut lab);
        let ping: [u8; Ping::LEN] = message(|into| Ping { player: welcome.player }.write(into, 3));
        lab.send("10.77.0.2:4000", PORT, &ping);
        lab.turn();
        let sent = everything(&mut lab);
        between += usize::from(sent.iter().any(|sent| packet_type(&sent.payload) == PacketType::PONG));
        turns += 1;
    }
    assert!(turns > 5, "the tick has {turns} slices");
    assert_eq!(between, turns, "every ping was answered in its turn");
    close(lab);
}

/// The same packets at the same times, twice.
#[test]
fn the_same_seed_and_packets_give_the_same_bytes() {
    let run = || {
        let mut lab = lab(50, 200.0);
        let mut out = Vec::new();
        let players: Vec<_> =
            (0..50).map(|index| join(&mut lab, &format!("10.77.0.2:{}", 4000 + index))).collect();
        for round in 0..40_u16 {
            for (index, welcome) in players.iter().enumerate() {
                let from = format!("10.77.0.2:{}", 4000 + index);
                let shift = f32::from((round * 7 + index as u16 * 13) % 5) * 0.1;
                let to = Vector { x: (welcome.position.x + shift).min(200.0), ..welcome.position };
                lab.send(&from, PORT, &move_message(welcome.player, to, round.into()));
                let target = players[(index + usize::from(round)) % 50].player;
                let attack = Attack { attacker: welcome.player, target, weapon: 1 };
                lab.send(&from, PORT, &message::<{ Attack::LEN }>(|into| attack.write(into, 6)));
                lab.turn();
            }
            out.extend(tick(&mut lab));
        }
        let hits = count(&lab, Event::Hit);
        close(lab);
        (out, hits)
    };
    let (first, hits) = run();
    assert!(first.len() > 1000 && hits > 3, "{} datagrams, {hits} hits", first.len());
    assert!(run() == (first, hits), "two runs differ");
}
