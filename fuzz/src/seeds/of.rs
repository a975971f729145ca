//! The inputs that the targets start from: each reaches what its target is about.

use super::{frames, listener_query};

/// Each frame behind the same bytes.
fn behind(prefix: &[u8]) -> Vec<Vec<u8>> {
    frames().iter().map(|frame| [prefix, frame].concat()).collect()
}

/// For the target of this name.
pub fn parse() -> Vec<Vec<u8>> {
    behind(&[])
}

/// For the target of this name.
pub fn reply() -> Vec<Vec<u8>> {
    let queries = [listener_query(1, 0), listener_query(2, 0), listener_query(2, 1000)];
    let queries = queries.map(|frame| [&[0][..], &frame].concat());
    [behind(&[0x00]), behind(&[0x1f]), behind(&[0x41]), queries.into()].concat()
}

/// For the target of this name.
pub fn arp_ndp() -> Vec<Vec<u8>> {
    vec![
        // A datagram for a neighbour, its answer, another datagram; then late and unasked ones.
        vec![0, 1, 9, 4, 9, 1, 9],
        vec![0, 4, 9, 1, 9, 0xa0, 0xc0, 1, 9],
        vec![0, 2, 9, 6, 9, 0x60, 2, 9],
        vec![0, 3, 2, 5, 0, 5, 3, 5, 7],
        vec![0, 1, 9, 0x0c, 9, 6, 1, 9, 0x80, 0x80, 0x80, 1, 9],
        // Somebody else has the address, is about to, or says so too late.
        vec![1, 6, 1, 0x20, 0x80, 2, 9, 5, 0],
        vec![1, 5, 3, 0x80, 2, 9, 5, 0],
        vec![1, 0x80, 0x80, 6, 1, 0x20, 2, 9, 6, 9, 0x60],
    ]
}

/// For the target of this name.
pub fn options() -> Vec<Vec<u8>> {
    vec![
        vec![0x03, 0, 2, 7, 7, 4, 0, 0, 0, 0, 0, b'h', b'i'],
        vec![0x03, 2, 1, 148, 4, 0, 0, b'h', b'i'],
        vec![0x03, 1, 2, 0, 1, 4, 0, 0, 0, 0, 3, 0x05, 2, 0, 0, 0, 0, b'h', b'i'],
        vec![0x03, 3, 1, 2, 0, 0, 0, 1, 0, 0, b'h', b'i'],
        vec![0x03, 1, 1, 1, 0, 0, 0, 0, 0, 0, b'h', b'i'],
        // Options in a chain, one that is unknown, a source route, an atomic fragment, authentication.
        vec![0x0f, 1, 3, 0, 1, 4, 0, 0, 0, 0, 3, 5, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, b'h', b'i'],
        vec![0x0f, 1, 1, 3, 0xc5, 4, 0, 0, 0, 0, b'h', b'i'],
        vec![0x0f, 3, 1, 2, 0, 0, 0, 0, 0, 0, b'h', b'i'],
        vec![0x0f, 0, 1, 131, 4, 4, 0, b'h', b'i'],
        vec![0x0f, 1, 1, 4, 0, 0, 0, 0, 0, 0, b'h', b'i'],
    ]
}

/// For the target of this name.
pub fn icmp() -> Vec<Vec<u8>> {
    let of = |flags: u8, kind: u8| vec![1, flags, kind, 0, 0, 1, 0, 2, b'd', b'a', b't', b'a'];
    [(0, 8), (1, 128), (2, 3), (3, 1), (2, 11), (3, 2), (0, 13), (1, 135), (1, 130)]
        .map(|(f, k)| of(f, k))
        .into()
}

/// For the target of this name.
pub fn vlan() -> Vec<Vec<u8>> {
    let count = frames().len() as u8;
    let of = |frame| vec![vec![7, 1, 0, frame, 0], vec![7, 2, 1, 0, frame, 0], vec![7, 1, 4, frame, 0]];
    (0..count).flat_map(of).collect()
}

/// For the target of this name.
pub fn reassembly() -> Vec<Vec<u8>> {
    let in_order = [[0, 100, 2, 3, 0, 1, 2], [1, 100, 2, 3, 2, 1, 0]];
    let odd: [&[u8]; 5] = [
        &[0, 200, 5, 9, 0, 0x41, 1, 0x82, 2, 3],
        // Larger than the MTU: the answer is cut again. An echo too.
        &[3, 250, 1, 174, 0, 1, 2, 3, 4, 5],
        &[6, 250, 1, 174, 5, 4, 3, 2, 1, 0],
        // The rest never comes.
        &[0, 100, 2, 3, 0, 0xe6, 0xe1],
        &[1, 100, 2, 3, 0, 0xe6, 0xe1],
    ];
    in_order.iter().map(|seed| seed.to_vec()).chain(odd.iter().map(|seed| seed.to_vec())).collect()
}

/// For the target of this name.
pub fn guards() -> Vec<Vec<u8>> {
    let from = |source, what: &[u8]| [&[source, 15, what.len() as u8], what].concat();
    let fast = [from(0, &[0]), from(0, &[1, 200]), from(4, &[0, 9]), vec![0x63], from(0, &[0])].concat();
    let known = [from(0, &[2, 0]), from(0, &[1, 255]), from(0x14, &[3, 5]), from(0x14, &[0])].concat();
    let refused = [from(2, &[0]), from(0x12, &[0]), vec![0x83], from(0x40, &[0]), from(0x80, &[4])].concat();
    let configs: [&[u8]; 3] = [&[0, 0, 0, 0, 0], &[1, 2, 3, 1, 1], &[255, 255, 3, 255, 2]];
    configs
        .iter()
        .flat_map(|config| [&fast, &known, &refused].map(|steps| [*config, steps].concat()))
        .collect()
}

/// For the target of this name.
pub fn host() -> Vec<Vec<u8>> {
    let scripts: [&[u8]; 5] =
        [&[], &[2, 3, 40, 0], &[5, 1, 2, 9, 4], &[6, 3, 0, 9, 20, 2, 33, 20], &[7, 2, 0, 9, 200]];
    let frames = (0..frames().len() as u8).flat_map(|frame| [0, frame, 0, 4]);
    let steps: Vec<u8> = frames.chain([3, 5, 0, 0, 0, 4]).collect();
    let with = |(mode, script): (u8, &&[u8])| [&[mode, script.len() as u8], *script, &steps].concat();
    [0, 1, 2, 3, 4, 0x20, 0x41, 0x60, 0x80, 0xe8]
        .iter()
        .copied()
        .zip(scripts.iter().cycle())
        .map(with)
        .collect()
}

/// For the target of this name.
pub fn outbox() -> Vec<Vec<u8>> {
    vec![
        vec![0, 20, 0x00, 2, 9, 0, 10, 0, 0x02, 0x00, 1, 9, 0, 10, 0],
        vec![1, 90, 0x00, 3, 9, 5, 0xc0, 1, 80, 0, 20, 3, 96, 0, 30, 0xa1, 0xa1, 0xa1, 0x02],
        vec![4, 90, 0x00, 4, 9, 0, 255, 9, 0, 245, 70, 3, 255, 70, 3, 20, 0x02, 0x02, 0x02, 0x03],
        vec![7, 90, 0x00, 3, 106, 5, 255, 113, 7, 255, 102, 6, 40, 0x02, 0x02, 0x03],
        // Shared payloads: to several, all in one place, and from an empty pool.
        vec![0x38, 90, 0x00, 5, 9, 0, 100, 9, 5, 100, 106, 0, 100, 9, 0, 100, 70, 3, 20, 0x02, 0x02, 0x01],
        vec![0x2c, 90, 0x00, 4, 9, 0, 200, 9, 3, 200, 9, 0, 255, 70, 3, 255, 0x02, 0x02, 0x02, 0x03],
        vec![0x3a, 6, 0x00, 7, 2, 0, 90, 3, 0, 90, 4, 0, 90, 5, 0, 90, 6, 0, 90, 7, 0, 90, 8, 0, 90, 0x02],
        vec![2, 4, 0x00, 7, 2, 0, 1, 2, 0, 2, 3, 0, 3, 4, 0, 4, 5, 0, 5, 6, 0, 6, 7, 0, 7, 0x02],
    ]
}

/// For the target of this name.
pub fn arguments() -> Vec<Vec<u8>> {
    let lines = [
        "\x0010.77.0.1/24@1.300",
        "\x00fd00::1/64@veth0.100.300",
        "\x01af_packet:veth0,veth1",
        "\x01pcap:in,out",
        "\x02loss=1%,duplicate=0.5%,reorder=2%,truncate=1%,short-tx=10%,seed=7",
        "\x0302:00:00:00:00:01",
        "\x041.5ms",
        "\x054660",
        "\x06gannet\n-l\n0-2\n--\n--ip\n10.77.0.1/24\n--udp-port\nall\n--ttl\n9",
        "\x06gannet\n-l\n1\n--\n--io\npcap:a,b\n--fault\nloss=1%\n--duration\n10s\n--stats=1s\n--mtu\n9000",
        "\x06gannet\n--ip\n10.0.0.1/8",
        "\x06gannet\n--help",
        "\x06gannet\n--\n--ip\nfd00::1/64\n--fragments\nreassemble@0\n--guard\nrate=9,source-port=off",
        "\x08rate=5000,global-rate=off,amplification=3,source-port=off,icmp-rate=100",
        "\x08off",
        "\x09out.pcapng,reason=udp_checksum,reason=fragment",
        "\x09out.pcapng,reason=all",
        "\x0areassemble@veth0",
        "\x0adrop",
    ];
    lines.map(|line| line.as_bytes().to_vec()).into()
}

/// For the target of this name.
pub fn pcap() -> Vec<Vec<u8>> {
    let file = |order: fn(u32) -> [u8; 4], magic: u32| {
        let version = if order(1)[0] == 1 { [2, 0, 4, 0] } else { [0, 2, 0, 4] };
        let mut file = [order(magic), version, order(0), order(0), order(65535), order(1)].concat();
        for frame in &frames()[..4] {
            let len = frame.len() as u32;
            file.extend([order(7), order(9), order(len), order(len)].concat());
            file.extend(frame);
        }
        file
    };
    vec![
        [vec![0], file(u32::to_le_bytes, 0xa1b2_c3d4)].concat(),
        [vec![1], file(u32::to_be_bytes, 0xa1b2_3c4d)].concat(),
    ]
}

/// For the target of this name: every type, right in itself.
pub fn game_protocol() -> Vec<Vec<u8>> {
    let of = |kind: u32, len: usize| {
        let mut message = vec![0; len];
        message[0] = kind as u8;
        match kind {
            3 | 103 => {
                message[20] = (len - 24) as u8;
                message[24..].fill(b'a');
            }
            4 => message[16] = 1,
            108 => {
                message[29] = 1;
                message[30] = ((len - 32) / 36) as u8;
            }
            _ => {}
        }
        // Its size is repaired.
        [&[1][..], &message].concat()
    };
    let lens =
        [(1, 44), (2, 28), (3, 25), (3, 224), (4, 64), (5, 20), (6, 20), (101, 44), (102, 36), (103, 30)];
    let more =
        [(104, 24), (105, 64), (106, 20), (107, 44), (108, 32), (108, 68), (108, 1184), (109, 24), (110, 36)];
    lens.into_iter().chain(more).map(|(kind, len)| of(kind, len)).collect()
}

/// For the target of this name. A step's low three bits are what, those above who or how long.
pub fn game_world() -> Vec<Vec<u8>> {
    let (join, walk, attack, talk, advance, leave, lie, say) = (0, 1, 2, 3, 4, 5, 6, 7);
    let by = |who: u8| who << 3;
    let together = [2, join, join | by(1), advance | by(4), walk, 1, 20, 20, 5, advance | by(3)];
    let fight = [attack, 1, 1, attack, 1, 1, advance | by(6), attack | by(1), 0, 2, advance | by(7)];
    let again = [walk, 0, 20, 20, 5, walk, 0xf0, walk, 0xd0, 9, 9, 9, walk, 0xe0, 9, 9, 9];
    let words = [talk, 2, b'h', b'i', talk, 2, b'h', b'o', advance | by(3), walk, 3, 127, 0, 0, advance];
    let away = [leave | by(2), 2, leave | by(1), 0, advance | by(6), join | by(3), advance | by(7)];
    let unknown = [lie, 16, 1, 4, 0, 0, 0, 0, lie | by(1), 0, 1, 4, 0, 0, 0, 0];
    let lies = [&unknown[..], &[say, 3, 1, 2, 3, lie, 3, 0x80, 4, 9, 9, 9, 9]].concat();
    let all = [&together[..], &again, &words, &fight, &away, &lies].concat();
    let fast = [&[0xe7][..], &all[1..]].concat();
    // Both shoot until one is dead, and then until it lives again.
    let shots = [attack, 1, 1, attack | by(1), 0, 1, advance | by(5), advance | by(5)].repeat(15);
    let bounded = [&[8 | 2][..], &all[1..], &[join | by(2), advance | by(7), join | by(1)]].concat();
    vec![all, fast, bounded, [&together[..], &shots].concat(), [&together[..], &away].concat()]
}

/// For the target of this name. A step's low three bits are what, those above who, or how long and who rests.
pub fn game_lcores() -> Vec<Vec<u8>> {
    let (join, walk, attack, talk, advance, back, storm, leave) = (0, 1, 2, 3, 4, 5, 6, 7);
    let by = |who: u8| who << 3;
    let (tick, second, resting) = (advance | 1 << 3, advance | 2 << 3, 1 << 6);
    let together = [6, join, join | by(1), tick, tick, walk, 1, 1, walk | by(1), 1, 1, tick, tick];
    let shots = [attack, 1, 5, attack | by(1), 0, 1, talk, b'a', b'b', b'c', tick, second].repeat(6);
    // The first one comes back on the other lcore, and on its own.
    let across =
        [back | by(3), 0, 0, tick, tick, tick, back | by(2), 3, 1, tick, tick, tick, leave | by(2), 0];
    // The second lcore rests, while it is asked for its player and told of the first one.
    let asked = [storm | by(2), 1, 4 | 3, talk, b'a', b'b', b'c', tick | resting, tick];
    let walks = [walk, 1, 0, tick | resting, walk, 0xff, 0, tick | resting].repeat(36);
    let said = [talk, b'a', b'b', b'c', second | resting].repeat(2);
    // It does not wait for its welcome, and is somebody else.
    let forsaken = [back | by(3), 0, 0, join | by(3), tick, tick, tick];
    // An address has a player on each lcore at most; then both its ports reach the same.
    let crowded = [8 | 6, join, join | by(1), leave | by(1), 3, join | by(1), back | by(4), 1, 1, tick, tick];
    let full = [6, join | by(3), join | by(4), join | by(5), join | by(6), join | by(2)];
    vec![
        [&together[..], &shots, &across].concat(),
        [&together[..], &asked, &said, &shots].concat(),
        [&together[..], &walks].concat(),
        [&together[..], &forsaken].concat(),
        [&[0xe7][..], &together[1..], &across, &shots].concat(),
        [&crowded[..], &[join | by(3), join | by(5), join | by(7)]].concat(),
        full.to_vec(),
    ]
}
