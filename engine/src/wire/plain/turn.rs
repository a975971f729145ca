//! Headers turned round in place: four loads, two shuffles and three stores.
#![allow(unsafe_code)]

use super::Headers;
use crate::wire::ethernet::MacAddress;

/// What is fresh in the headers of a reply.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub(super) struct Fresh {
    /// Our MAC address at bytes 6 to 11, zeros around it.
    link: [u8; 16],
    /// TTL and "don't fragment" in the first 16 bytes of the IP header, zeros around them.
    network: [u8; 16],
}

/// What stays of the first 16 bytes of the IP header: not ECN, identification, fragment field,
/// TTL and checksum.
const KEPT: [u8; 16] = [0xff, 0xfc, 0xff, 0xff, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0];

impl Fresh {
    pub(super) fn new(mac: MacAddress, ttl: u8) -> Self {
        let mut link = [0; 16];
        link[6..12].copy_from_slice(&mac.0);
        let mut network = [0; 16];
        (network[6], network[8]) = (0x40, ttl);
        Self { link, network }
    }

    #[inline]
    pub(super) fn turn(&self, headers: &mut Headers, checksum: u32) {
        #[cfg(all(target_arch = "x86_64", target_feature = "ssse3"))]
        self.turn_ssse3(headers, checksum);
        #[cfg(not(all(target_arch = "x86_64", target_feature = "ssse3")))]
        self.turn_portable(headers, checksum);
    }

    /// The same, byte by byte.
    #[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "ssse3"))))]
    #[inline]
    pub(super) fn turn_portable(&self, headers: &mut Headers, checksum: u32) {
        headers.copy_within(6..12, 0);
        headers[6..12].copy_from_slice(&self.link[6..12]);
        for (index, byte) in headers[14..26].iter_mut().enumerate() {
            *byte = *byte & KEPT[index] | self.network[index];
        }
        headers[24..26].copy_from_slice(&(checksum as u16).to_le_bytes());
        let (addresses, ports) = headers[26..38].split_at_mut(8);
        addresses.rotate_left(4);
        ports.rotate_left(2);
    }

    #[cfg(all(target_arch = "x86_64", target_feature = "ssse3"))]
    #[inline]
    fn turn_ssse3(&self, headers: &mut Headers, checksum: u32) {
        use std::arch::x86_64::{
            _mm_and_si128, _mm_insert_epi16, _mm_load_si128, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8,
            _mm_shuffle_epi8, _mm_storeu_si128,
        };
        let at = headers.as_mut_ptr();
        // SAFETY: the build is for processors with SSSE3. Each access is of 16 bytes at 0, 14 or
        // 26, within the 42 of the headers, and asks for no alignment; `Fresh` is aligned. The
        // later stores put right what the earlier ones wrote beyond their part.
        unsafe {
            let link = _mm_loadu_si128(at.cast());
            let network = _mm_loadu_si128(at.add(14).cast());
            let ends = _mm_loadu_si128(at.add(26).cast());
            let source_first = _mm_setr_epi8(6, 7, 8, 9, 10, 11, -1, -1, -1, -1, -1, -1, 12, 13, 14, 15);
            let link =
                _mm_or_si128(_mm_shuffle_epi8(link, source_first), _mm_load_si128(self.link.as_ptr().cast()));
            let network = _mm_and_si128(network, _mm_loadu_si128(KEPT.as_ptr().cast()));
            let network = _mm_or_si128(network, _mm_load_si128(self.network.as_ptr().cast()));
            let network = _mm_insert_epi16::<5>(network, checksum as i32);
            let swapped = _mm_setr_epi8(4, 5, 6, 7, 0, 1, 2, 3, 10, 11, 8, 9, 12, 13, 14, 15);
            _mm_storeu_si128(at.cast(), link);
            _mm_storeu_si128(at.add(14).cast(), network);
            _mm_storeu_si128(at.add(26).cast(), _mm_shuffle_epi8(ends, swapped));
        }
    }
}
