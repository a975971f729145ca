//! Datagrams over the MTU: where they are cut (RFC 791, section 3.2; RFC 8200, section 4.5), and
//! the number that their fragments have in common.

use std::net::IpAddr;

use super::siphash::HashKey;

/// Counters of identifications; a power of two.
const COUNTERS: usize = 1024;

/// One piece of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it stands in the payload, in bytes: a multiple of 8.
    pub(super) offset: usize,
    /// Its length in bytes: a multiple of 8, but of the last one.
    pub(super) len: usize,
    /// Whether others follow.
    pub(super) more: bool,
}

/// The pieces of a payload, in order.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    /// Where the next one stands, and where the payload ends, in bytes.
    offset: usize,
    end: usize,
    /// Bytes that a packet has room for.
    room: usize,
}

impl Pieces {
    /// Cuts a payload of `len` bytes into pieces that fit packets of `mtu` bytes behind
    /// headers of `header_len` bytes: 20 on IPv4, 48 on IPv6 (the fragment header's with it).
    ///
    /// One that fits as it is is a single piece. `None` if the MTU has no room for 8 bytes.
    pub(super) fn new(len: usize, mtu: usize, header_len: usize) -> Option<Self> {
        let room = mtu.checked_sub(header_len).filter(|&room| room >= 8)?;
        Some(Self { offset: 0, end: len, room })
    }

    /// How many are left.
    pub(super) fn count_left(&self) -> usize {
        let left = self.end - self.offset;
        // The last one may be longer than the others, by less than 8 bytes.
        left.saturating_sub(self.room).div_ceil(self.room & !7) + usize::from(left > 0)
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let (offset, left) = (self.offset, self.end - self.offset);
        let more = left > self.room;
        let len = if more { self.room & !7 } else { left };
        self.offset += len;
        (len > 0).then_some(Piece { offset, len, more })
    }
}

/// Numbers for datagrams that are cut, which nobody else can foretell (RFC 7739, section 5.3):
/// to each pair of addresses they count up, from a secret start.
///
/// Pairs share a fixed number of counters. What somebody learns from those that he is sent
/// is how many datagrams went to pairs that share his, not which numbers they had.
///
/// Each lcore has its own, and counts otherwise than the others.
#[derive(Debug)]
pub(super) struct Identifications {
    key: HashKey,
    counters: Box<[u32; COUNTERS]>,
}

impl Identifications {
    pub(super) fn new(key: HashKey) -> Self {
        Self { key, counters: Box::new([0; COUNTERS]) }
    }

    /// Counts otherwise than the lcores of the same key that were given other numbers.
    pub(super) fn part_from_others(&mut self, lcore: u64) {
        let HashKey([low, high]) = self.key;
        self.key = HashKey([low, high.wrapping_add(lcore)]);
    }

    /// The next number from `source` to `destination`. IPv4 takes its lower 16 bits.
    pub(super) fn next(&mut self, source: IpAddr, destination: IpAddr) -> u32 {
        let hash = self.hash(source, destination);
        let counter = &mut self.counters[hash as usize % COUNTERS];
        *counter = counter.wrapping_add(1);
        counter.wrapping_add((hash >> 32) as u32)
    }

    fn hash(&self, source: IpAddr, destination: IpAddr) -> u64 {
        let bits = |address| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        };
        let (from, to) = (bits(source), bits(destination));
        self.key.hash_words([(from >> 64) as u64, from as u64, (to >> 64) as u64, to as u64])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn pieces(len: usize, mtu: usize, header_len: usize) -> Vec<(usize, usize, bool)> {
        let pieces = Pieces::new(len, mtu, header_len).expect("room");
        pieces.map(|piece| (piece.offset, piece.len, piece.more)).collect()
    }

    #[test]
    fn pieces_are_cut_as_linux_cuts_them() {
        // 4,000 bytes behind a UDP header, over a loopback of 1,500, captured.
        assert_eq!(pieces(4008, 1500, 20), [(0, 1480, true), (1480, 1480, true), (2960, 1048, false)]);
        assert_eq!(pieces(4008, 1500, 48), [(0, 1448, true), (1448, 1448, true), (2896, 1112, false)]);
    }

    #[test]
    fn the_last_piece_may_have_any_length_that_fits() {
        assert_eq!(pieces(1460, 1500, 48), [(0, 1448, true), (1448, 12, false)]);
        assert_eq!(pieces(2900, 1500, 48), [(0, 1448, true), (1448, 1452, false)]);
        assert_eq!(pieces(2901, 1500, 48), [(0, 1448, true), (1448, 1448, true), (2896, 5, false)]);
    }

    #[test]
    fn what_fits_is_one_piece_and_nothing_is_none() {
        assert_eq!(pieces(1480, 1500, 20), [(0, 1480, false)]);
        assert_eq!(pieces(0, 1500, 20), []);
        assert!(Pieces::new(100, 27, 20).is_none() && Pieces::new(100, 19, 20).is_none());
        assert_eq!(pieces(9, 28, 20), [(0, 8, true), (8, 1, false)]);
    }

    proptest! {
        #[test]
        fn pieces_follow_each_other_fit_and_cannot_be_fewer(
            len in 0..65_536_usize, mtu in 68..9001_usize, header_len in prop::sample::select(vec![20, 48]),
        ) {
            let pieces = Pieces::new(len, mtu, header_len).expect("room");
            let count = pieces.count_left();
            let mut end = 0;
            for (index, piece) in pieces.enumerate() {
                prop_assert_eq!((piece.offset, piece.offset % 8), (end, 0));
                prop_assert!(piece.len > 0 && header_len + piece.len <= mtu);
                prop_assert_eq!(piece.more, index + 1 < count);
                if piece.more {
                    prop_assert!(piece.len % 8 == 0 && header_len + piece.len + 8 > mtu);
                }
                end += piece.len;
            }
            prop_assert_eq!(end, len);
        }
    }

    #[test]
    fn identifications_of_a_pair_count_up_from_a_secret_start() {
        let [a, b, c] = [1, 2, 3].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let mut ours = Identifications::new(HashKey([1, 2]));
        let first = ours.next(a, b);
        let after: Vec<u32> = (0..100).map(|_| ours.next(a, b).wrapping_sub(first)).collect();
        assert_eq!(after, (1..=100).collect::<Vec<_>>());
        let others = [(a, c), (b, a), (c, a)].map(|(from, to)| ours.next(from, to).wrapping_sub(first));
        assert!(others.iter().all(|&distance| distance > 1000), "{others:?}");
        assert_ne!(Identifications::new(HashKey([1, 3])).next(a, b), first, "another key");
    }

    #[test]
    fn lcores_with_the_same_key_count_apart() {
        let key = HashKey([1, 2]);
        let ends: [IpAddr; 2] = [[10, 77, 0, 1].into(), [10, 77, 0, 2].into()];
        let numbers = |lcore| {
            let mut identifications = Identifications::new(key);
            identifications.part_from_others(lcore);
            (0..100).map(|_| identifications.next(ends[0], ends[1])).collect::<HashSet<_>>()
        };
        assert!(numbers(0).is_disjoint(&numbers(1)));
    }

    #[test]
    fn both_halves_of_both_addresses_count() {
        let mut ours = Identifications::new(HashKey([1, 2]));
        let address = |bits: u128| IpAddr::V6(bits.into());
        let bits = [0, 1, 1 << 63, 1 << 64, 1 << 127];
        let pairs = bits.iter().flat_map(|&from| bits.map(|to| (address(from), address(to))));
        let starts: HashSet<u32> = pairs.map(|(from, to)| ours.next(from, to)).collect();
        assert_eq!(starts.len(), 25);
    }
}
