//! How an interface's frames are spread over several sockets by addresses alone: a classic
//! BPF program, which the kernel runs on each frame and whose answer is the socket's number.
//!
//! `PACKET_FANOUT_HASH` hashes the ports too where a packet has them, so that it sends a
//! flow's fragments and its whole datagrams to different sockets.
//!
//! The hash is the sum of the addresses' 32-bit words, each times an odd factor that nobody
//! outside knows, mixed so that neighbouring addresses part (the finalizer of MurmurHash3,
//! Appleby 2011); its highest bits count.

use libc::sock_filter;

use crate::port::RssKey;
use crate::wire::ethernet::EtherType;
use crate::wire::vlan::TAG_LEN;

/// Where the words of both addresses start in an IPv4 header (RFC 791, 3.1), and how many there are.
const IPV4_ADDRESSES: (u32, usize) = (12, 2);
/// The same in an IPv6 header (RFC 8200, 3).
const IPV6_ADDRESSES: (u32, usize) = (8, 8);
/// Factors where there is no key: multiples of 2^32 over the golden ratio.
const GOLDEN: u32 = 0x9e37_79b1;
/// The EtherType, in the order of numbers, of what a program sees from its first byte.
const PROTOCOL: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PROTOCOL).cast_unsigned();
/// Where the EtherType behind a tag stands, which the kernel shows from its control information on.
const TAGGED_PROTOCOL: u32 = 2;

type Program = Vec<sock_filter>;

/// The program for that many sockets. What is neither IPv4 nor IPv6 goes to the first. Of two
/// VLAN tags the kernel has taken out the outer one; the program passes over the inner one.
pub(super) fn program(sockets: usize, key: Option<&RssKey>) -> Program {
    let factors = factors(key);
    let any_ip = |protocol, behind| {
        [
            if_protocol(protocol, EtherType::IPV4, hash(behind, IPV4_ADDRESSES, &factors, sockets)),
            if_protocol(protocol, EtherType::IPV6, hash(behind, IPV6_ADDRESSES, &factors, sockets)),
        ]
        .concat()
    };
    let tagged = any_ip(TAGGED_PROTOCOL, TAG_LEN as u32);
    [any_ip(PROTOCOL, 0), if_tagged(tagged), vec![answer(0)]].concat()
}

/// A factor for each word of the addresses, all of them odd.
fn factors(key: Option<&RssKey>) -> [u32; IPV6_ADDRESSES.1] {
    std::array::from_fn(|index| {
        let factor = match key.and_then(|key| key.0.as_chunks().0.get(index)) {
            Some(&bytes) => u32::from_le_bytes(bytes),
            None => GOLDEN.wrapping_mul(index as u32 + 1),
        };
        factor | 1
    })
}

/// Runs `then` if the EtherType at `at` is that one, else goes on behind it.
fn if_protocol(at: u32, ether_type: EtherType, then: Program) -> Program {
    [vec![load_half(at), jump_if(ether_type, 0, then.len())], then].concat()
}

/// Runs `then` if what comes next is a VLAN tag, else goes on behind it.
fn if_tagged(then: Program) -> Program {
    let is_tag = [jump_if(EtherType::VLAN, 1, 0), jump_if(EtherType::SERVICE_VLAN, 0, then.len())];
    [vec![load_half(PROTOCOL)], is_tag.to_vec(), then].concat()
}

/// Hashes the words of an IP header `behind` bytes in, and answers. Of a packet that is too short
/// for them the kernel itself answers 0.
fn hash(behind: u32, (start, words): (u32, usize), factors: &[u32], sockets: usize) -> Program {
    let mut program = vec![statement(libc::BPF_LDX | libc::BPF_IMM, 0)];
    for (offset, &factor) in (behind + start..).step_by(4).zip(factors).take(words) {
        program.extend([
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset),
            statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, factor),
            statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0),
            statement(libc::BPF_MISC | libc::BPF_TAX, 0),
        ]);
    }
    for (shift, factor) in [(16, 0x85eb_ca6b), (13, 0xc2b2_ae35)] {
        program.extend([
            statement(libc::BPF_MISC | libc::BPF_TAX, 0),
            statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, shift),
            statement(libc::BPF_ALU | libc::BPF_XOR | libc::BPF_X, 0),
            statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, factor),
        ]);
    }
    // The highest 16 bits as a part of the whole, and that part of the sockets.
    program.extend([
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 16),
        statement(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, sockets as u32),
        statement(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 16),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ]);
    program
}

fn load_half(at: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_H | libc::BPF_ABS, at)
}

fn answer(socket: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, socket)
}

/// Jumps over so many instructions if what was loaded is that EtherType, and over so many if not.
fn jump_if(ether_type: EtherType, over_if: usize, over_else: usize) -> sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    // The longest of them is asserted in the test below.
    sock_filter { code, jt: over_if as u8, jf: over_else as u8, k: ether_type.0.into() }
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program on a frame as the kernel shows it, by the rules of
    /// Documentation/networking/filter.rst.
    fn run(program: &[sock_filter], ether_type: EtherType, bytes: &[u8]) -> u32 {
        let load = |at: u32, len: usize| {
            let bytes = bytes.get(at as usize..)?.get(..len)?;
            Some(bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte)))
        };
        let (mut a, mut x, mut next) = (0_u32, 0_u32, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[next];
            next += 1;
            match u32::from(code) {
                0x28 if k == PROTOCOL => a = ether_type.0.into(),
                0x28 | 0x20 => match load(k, if code == 0x28 { 2 } else { 4 }) {
                    Some(value) => a = value,
                    None => return 0,
                },
                0x01 => x = k,
                0x07 => x = a,
                0x0c => a = a.wrapping_add(x),
                0x24 => a = a.wrapping_mul(k),
                0x74 => a >>= k,
                0xac => a ^= x,
                0x15 => next += usize::from(if a == k { jt } else { jf }),
                0x06 => return k,
                0x16 => return a,
                _ => panic!("instruction {code:#x}"),
            }
        }
    }

    /// An IPv4 and an IPv6 header between host number `host` and one of ours, behind `behind`.
    fn headers(behind: &[u8], host: u32) -> [Vec<u8>; 2] {
        let v4 = [behind, &[0x45; 12], &host.to_be_bytes(), &[10, 9, 0, 1]].concat();
        let v6 = [behind, &[0x60; 8], &[0xfd; 12], &host.to_be_bytes(), &[0xfd; 16]].concat();
        [v4, v6]
    }

    #[test]
    fn neighbouring_addresses_part_whatever_the_key() {
        for seed in 0..200_u32 {
            let key = RssKey(std::array::from_fn(|index| (seed.wrapping_mul(GOLDEN) >> (index % 25)) as u8));
            let program = program(4, Some(&key));
            // In the last byte, and in the first.
            for step in [1, 1 << 24] {
                let mut shares = [[0; 4]; 2];
                for host in 0..200_u32 {
                    let [v4, v6] = headers(&[], host.wrapping_mul(step));
                    shares[0][run(&program, EtherType::IPV4, &v4) as usize] += 1;
                    shares[1][run(&program, EtherType::IPV6, &v6) as usize] += 1;
                }
                // Each has 50 on average; so far off is one in a million by chance.
                assert!(shares.as_flattened().iter().all(|&share| share > 20), "{seed} {step}: {shares:?}");
            }
        }
    }

    #[test]
    fn a_tag_changes_nothing_and_other_frames_go_to_the_first() {
        let program = program(256, None);
        for host in 0..100 {
            let ether_types = [EtherType::IPV4, EtherType::IPV6];
            for (plain, ether_type) in headers(&[], host).into_iter().zip(ether_types) {
                let socket = run(&program, ether_type, &plain);
                assert!(socket < 256);
                let [high, low] = ether_type.0.to_be_bytes();
                let tagged = [&[0, 7, high, low], &plain[..]].concat();
                for tag in [EtherType::VLAN, EtherType::SERVICE_VLAN] {
                    assert_eq!(run(&program, tag, &tagged), socket);
                }
                assert_eq!(run(&program, EtherType::ARP, &plain), 0);
                for len in 0..plain.len() {
                    assert_eq!(run(&program, ether_type, &plain[..len]), 0, "cut to {len}");
                }
            }
        }
        let nested = [0, 7, 0x81, 0, 0, 7, 8, 0, 0x45];
        assert_eq!(run(&program, EtherType::VLAN, &nested), 0, "a third tag");
    }

    #[test]
    fn no_jump_is_cut() {
        let tagged = [IPV4_ADDRESSES, IPV6_ADDRESSES]
            .map(|addresses| hash(0, addresses, &factors(None), 256).len() + 2)
            .iter()
            .sum::<usize>();
        assert!(tagged <= usize::from(u8::MAX), "{tagged}");
    }

    #[test]
    fn factors_are_odd_and_those_of_the_key() {
        let key = RssKey(std::array::from_fn(|index| index as u8));
        let (keyed, fixed) = (factors(Some(&key)), factors(None));
        assert!(keyed.iter().chain(&fixed).all(|factor| factor % 2 == 1));
        assert_eq!(keyed[1], 0x0706_0505);
        assert_ne!(keyed, fixed);
    }
}
