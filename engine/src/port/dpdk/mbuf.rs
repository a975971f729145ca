//! A packet: an mbuf that its holder owns.

use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use dpdk_sys as sys;

use super::looks::{self, FOREIGN_BUFFER, LOOKS_AT, Looks};
use crate::packet::{IpVersion, Packet, RxChecksum, RxChecksums, Tail};
use crate::port::HEADROOM;

const _: () = assert!(sys::RTE_PKTMBUF_HEADROOM as usize >= HEADROOM);

/// As many frames may have one tail; the count of references has 16 bits.
const MAX_REFERENCES: u16 = u16::MAX / 2;
/// References that are added at a time: it is the instruction that costs, not the number.
const RESERVE: u16 = 32;

/// An mbuf (`rte_mbuf`) of one segment with no other references, owned by whoever has this value.
///
/// To that there are two exceptions, neither of which is written to: a [`Tail`], and the second segment
/// of a frame that is [chained](Packet::chain) to one.
///
/// There is no `Drop`: mbufs go back in bulk, through [`DpdkQueue`](super::DpdkQueue)'s
/// `tx_burst` and `free_burst`, or they are lost to their pool.
#[derive(Debug)]
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: an mbuf may be used from any thread, by one at a time, and the value is its one owner.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes over an mbuf.
    ///
    /// # Safety
    /// It is a live mbuf of a pktmbuf pool, of one segment, with a reference count of 1 and
    /// a data buffer of its own, and the caller gives its ownership up.
    pub unsafe fn from_raw(mbuf: NonNull<sys::rte_mbuf>) -> Self {
        let mbuf = Self(mbuf);
        if mbuf.ol_flags() != 0 {
            looks::note_flags();
        }
        mbuf
    }

    /// The mbuf, for DPDK functions that this crate doesn't wrap. It stays this value's.
    #[inline]
    pub fn as_raw(&self) -> NonNull<sys::rte_mbuf> {
        self.0
    }

    /// Gives the mbuf up to the caller.
    #[inline]
    pub fn into_raw(self) -> NonNull<sys::rte_mbuf> {
        self.0
    }

    /// A field of the mbuf by its offset. The offsets that DPDK's headers gave are aligned
    /// for the types that they have there.
    #[inline]
    fn field<T>(&self, offset: usize) -> *mut T {
        // SAFETY: the offsets are those of rte_mbuf's fields, so within it.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset).cast() }
    }

    #[inline]
    fn data_off(&self) -> u16 {
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_data_off).read() }
    }

    #[inline]
    fn data_len(&self) -> u16 {
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_data_len).read() }
    }

    #[inline]
    fn buf_len(&self) -> u16 {
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_buf_len).read() }
    }

    #[inline]
    fn ol_flags(&self) -> u64 {
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u64>(sys::DPDK_SYS_MBUF_ol_flags).read() }
    }

    #[inline]
    fn set_ol_flags(&mut self, flags: u64) {
        if flags != 0 {
            looks::note_flags();
        }
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u64>(sys::DPDK_SYS_MBUF_ol_flags).write(flags) }
    }

    /// Where the frame starts.
    #[inline]
    fn data(&self) -> *mut u8 {
        // SAFETY: a live mbuf of ours, which has a buffer; data_off lies within it.
        unsafe {
            let buffer = self.field::<NonNull<u8>>(sys::DPDK_SYS_MBUF_buf_addr).read();
            buffer.add(usize::from(self.data_off())).as_ptr()
        }
    }

    /// Bytes from the start of the frame to the end of the buffer.
    #[inline]
    fn room(&self) -> usize {
        usize::from(self.buf_len()).saturating_sub(usize::from(self.data_off()))
    }

    #[inline]
    fn set_len(&mut self, len: u16) {
        // SAFETY: a live mbuf of ours, of one segment: both lengths are the frame's.
        unsafe {
            self.field::<u16>(sys::DPDK_SYS_MBUF_data_len).write(len);
            self.field::<u32>(sys::DPDK_SYS_MBUF_pkt_len).write(u32::from(len));
        }
    }

    #[inline]
    fn set_data_off(&mut self, offset: u16) {
        // SAFETY: a live mbuf of ours; both callers stay within its buffer.
        unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_data_off).write(offset) };
    }

    // ---- what a queue looks at ---------------------------------------------------

    /// Whether it is what this type promises. A driver may deliver mbufs that are not, and
    /// the queue looks at each once.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        Self::are_plain(slice::from_ref(self))
    }

    /// Whether all of them are what this type promises. They mostly are, so it looks at every
    /// one and decides in the end. Each one's frame is on its way to the cache then.
    #[inline]
    pub(super) fn are_plain(mbufs: &[Self]) -> bool {
        let all = || {
            mbufs.iter().map(|mbuf| {
                mbuf.prefetch();
                mbuf.looks()
            })
        };
        // Where none have flags a sum tells it, with one instruction for each.
        !looks::have_flags() && Looks::are_unmarked(all()) || Looks::are_plain(all())
    }

    #[inline]
    fn looks(&self) -> Looks {
        // SAFETY: 16 bytes of a live mbuf, aligned as mbufs are (asserted in `looks`). That nobody writes its counts
        // meanwhile is the driver's promise: it gave the mbuf to us.
        unsafe { self.field::<Looks>(LOOKS_AT).read() }
    }

    /// Asks the CPU to bring its frame's first bytes into its cache. A received frame mostly stands
    /// where the pool's headroom ends: so nothing of the mbuf has to be there for that.
    #[inline]
    fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that the program can see, wherever it is.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = size_of::<sys::rte_mbuf>() + sys::RTE_PKTMBUF_HEADROOM as usize;
            _mm_prefetch::<_MM_HINT_T0>(self.0.as_ptr().cast::<i8>().wrapping_add(at));
        }
    }

    /// Whether the data buffer is another mbuf's or no pool's at all.
    #[inline]
    fn has_foreign_buffer(&self) -> bool {
        self.ol_flags() & FOREIGN_BUFFER != 0
    }

    /// Whether someone else may read or write the frame's bytes.
    pub(super) fn is_shared(&self) -> bool {
        // SAFETY: a live mbuf.
        let references = unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_refcnt).read() };
        references != 1 || self.has_foreign_buffer()
    }

    #[inline]
    fn references(&self) -> &AtomicU16 {
        // SAFETY: a live mbuf, whose count every user changes atomically (RTE_MBUF_REFCNT_ATOMIC).
        unsafe { AtomicU16::from_ptr(self.field(sys::DPDK_SYS_MBUF_refcnt)) }
    }

    /// That many references more; `false` if there are too many.
    #[inline]
    fn add_references(&self, count: u16) -> bool {
        let references = self.references();
        // Others only take references away, so there can't be more of them now than it says.
        let is_possible = references.load(Relaxed) < MAX_REFERENCES;
        if is_possible {
            references.fetch_add(count, Relaxed);
        }
        is_possible
    }

    /// Segments in its chain.
    pub(super) fn segments(&self) -> u16 {
        // SAFETY: a live mbuf.
        unsafe { self.field::<u16>(sys::DPDK_SYS_MBUF_nb_segs).read() }
    }

    /// Bytes in all its segments.
    pub(super) fn chain_len(&self) -> usize {
        // SAFETY: a live mbuf.
        unsafe { self.field::<u32>(sys::DPDK_SYS_MBUF_pkt_len).read() as usize }
    }

    /// The pool that it goes back to.
    #[cfg(debug_assertions)]
    pub(super) fn pool(&self) -> *mut sys::rte_mempool {
        // SAFETY: a live mbuf.
        unsafe { self.field::<*mut sys::rte_mempool>(sys::DPDK_SYS_MBUF_pool).read() }
    }

    /// Clears every flag but those of `keep`: what the receiving port said of a frame would be
    /// an order to the sending one. Where there is none to clear, nothing is written.
    #[inline]
    pub(super) fn keep_flags(mbufs: &mut [Self], keep: u64) {
        if !looks::have_flags() {
            return;
        }
        let flags = mbufs.iter().fold(0, |flags, mbuf| flags | mbuf.ol_flags());
        if flags & !keep != 0 {
            mbufs.iter_mut().for_each(|mbuf| mbuf.set_ol_flags(mbuf.ol_flags() & keep));
        }
    }
}

/// Flags that [`Mbuf::request_udp_checksum`](Packet::request_udp_checksum) sets, for either
/// version of IP.
pub(super) const TX_UDP_CHECKSUM: u64 = sys::DPDK_SYS_RTE_MBUF_F_TX_IPV4
    | sys::DPDK_SYS_RTE_MBUF_F_TX_IPV6
    | sys::DPDK_SYS_RTE_MBUF_F_TX_UDP_CKSUM;

// SAFETY: an mbuf's buffer never moves, and a plain one's is its own (see `is_plain`, which every
// received mbuf passed; allocated ones are plain). The lengths are kept within the buffer by the
// methods below, and by the driver on receive.
unsafe impl Packet for Mbuf {
    #[inline]
    fn frame_len(&self) -> usize {
        usize::from(self.data_len())
    }

    #[inline]
    fn frame(&self) -> &[u8] {
        // SAFETY: the frame lies within the buffer, which is ours while `self` is borrowed.
        unsafe { slice::from_raw_parts(self.data(), self.frame_len()) }
    }

    #[inline]
    fn room_mut(&mut self) -> &mut [u8] {
        // SAFETY: the room ends with the buffer, which is ours alone while `self` is borrowed.
        unsafe { slice::from_raw_parts_mut(self.data(), self.room()) }
    }

    #[inline]
    fn frame_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `frame`, and ours alone.
        unsafe { slice::from_raw_parts_mut(self.data(), self.frame_len()) }
    }

    #[inline]
    fn head<'a, const LEN: usize>(&'a self, other: &'a [u8; LEN]) -> &'a [u8; LEN] {
        if usize::from(self.data_off()) + LEN > usize::from(self.buf_len()) {
            return other;
        }
        // SAFETY: the bytes are within the buffer, which is ours while `self` is borrowed.
        unsafe { &*self.data().cast() }
    }

    #[inline]
    fn set_frame_len(&mut self, len: usize) {
        // The room is at most buf_len, so it fits 16 bits.
        self.set_len(len.min(self.room()) as u16);
    }

    #[inline]
    fn trim_front(&mut self, count: usize) {
        // At most the frame's length, so it fits 16 bits.
        let count = count.min(self.frame_len()) as u16;
        self.set_data_off(self.data_off() + count);
        self.set_len(self.data_len() - count);
    }

    #[inline]
    fn grow_front(&mut self, count: usize) -> bool {
        if count > usize::from(self.data_off()) {
            return false;
        }
        let count = count as u16;
        self.set_data_off(self.data_off() - count);
        self.set_len(self.data_len() + count);
        true
    }

    #[inline]
    fn room_behind(&mut self, headroom: usize) -> (NonNull<u8>, usize, usize) {
        let data_off = usize::from(self.data_off());
        let headroom = if headroom <= data_off { headroom } else { 0 };
        let start = data_off - headroom;
        // SAFETY: a live mbuf of ours, which has a buffer; data_off and what is before it lie within it.
        let start = unsafe { self.field::<NonNull<u8>>(sys::DPDK_SYS_MBUF_buf_addr).read().add(start) };
        (start, headroom, self.room())
    }

    #[inline]
    fn rx_checksums(&self) -> RxChecksums {
        let flags = self.ol_flags();
        RxChecksums {
            ipv4: match flags & sys::DPDK_SYS_RTE_MBUF_F_RX_IP_CKSUM_MASK {
                sys::DPDK_SYS_RTE_MBUF_F_RX_IP_CKSUM_GOOD => RxChecksum::Good,
                sys::DPDK_SYS_RTE_MBUF_F_RX_IP_CKSUM_BAD => RxChecksum::Bad,
                // NONE would mean that the header's integrity is known otherwise; ours to check.
                _ => RxChecksum::Unknown,
            },
            udp: match flags & sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_MASK {
                sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_GOOD => RxChecksum::Good,
                sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_BAD => RxChecksum::Bad,
                sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_NONE => RxChecksum::Unfilled,
                _ => RxChecksum::Unknown,
            },
        }
    }

    #[inline]
    fn request_udp_checksum(&mut self, version: IpVersion, l2_len: usize, l3_len: usize) {
        // rte_mbuf.tx_offload: l2_len in its lowest 7 bits, l3_len in the 9 above.
        let lengths = (l2_len as u64 & 0x7f) | ((l3_len as u64 & 0x1ff) << 7);
        // SAFETY: a live mbuf of ours.
        unsafe { self.field::<u64>(sys::DPDK_SYS_MBUF_tx_offload).write(lengths) };
        let version = match version {
            IpVersion::V4 => sys::DPDK_SYS_RTE_MBUF_F_TX_IPV4,
            IpVersion::V6 => sys::DPDK_SYS_RTE_MBUF_F_TX_IPV6,
        };
        let others = self.ol_flags() & !TX_UDP_CHECKSUM;
        self.set_ol_flags(others | version | sys::DPDK_SYS_RTE_MBUF_F_TX_UDP_CKSUM);
    }

    /// The tail becomes the second segment, as in DPDK's ipv4_multicast example.
    #[inline]
    fn chain(&mut self, tail: &mut Tail<Self>) -> bool {
        if tail.spare == 0 {
            if !tail.packet().add_references(RESERVE) {
                return false;
            }
            tail.spare = RESERVE;
        }
        tail.spare -= 1;
        let tail = tail.packet();
        let len = u32::from(self.data_len()) + u32::from(tail.data_len());
        // SAFETY: two live mbufs of one segment each. This one is ours; of the other the chain has
        // one of the references that were added, and nobody writes to it.
        unsafe {
            self.field::<NonNull<sys::rte_mbuf>>(sys::DPDK_SYS_MBUF_next).write(tail.0);
            self.field::<u16>(sys::DPDK_SYS_MBUF_nb_segs).write(2);
            self.field::<u32>(sys::DPDK_SYS_MBUF_pkt_len).write(len);
        }
        true
    }

    unsafe fn unshare(&self, count: u16) {
        // One is left: that of this value.
        self.references().fetch_sub(count, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An mbuf and its buffer, made by hand: no pool, no EAL.
    struct Fake {
        header: Box<sys::rte_mbuf>,
        buffer: Vec<u8>,
    }

    impl Fake {
        fn new(buffer: usize, data_off: u16, len: u16) -> Self {
            let mut fake = Self { header: Box::default(), buffer: vec![0; buffer] };
            let mut mbuf = fake.mbuf();
            // SAFETY: fields of a live header.
            unsafe {
                mbuf.field::<*mut u8>(sys::DPDK_SYS_MBUF_buf_addr).write(fake.buffer.as_mut_ptr());
                mbuf.field::<u16>(sys::DPDK_SYS_MBUF_buf_len).write(u16::try_from(buffer).expect("short"));
                mbuf.field::<u16>(sys::DPDK_SYS_MBUF_data_off).write(data_off);
                mbuf.field::<u16>(sys::DPDK_SYS_MBUF_refcnt).write(1);
                mbuf.field::<u16>(sys::DPDK_SYS_MBUF_nb_segs).write(1);
            }
            mbuf.set_len(len);
            fake
        }

        fn mbuf(&mut self) -> Mbuf {
            Mbuf(NonNull::from(&mut *self.header))
        }
    }

    #[test]
    fn the_room_moves_with_the_frames_start() {
        let mut fake = Fake::new(256, 128, 60);
        let mut mbuf = fake.mbuf();
        let start = NonNull::from(&mut fake.buffer[..]).cast::<u8>();
        // SAFETY: within the buffer.
        let frame = unsafe { start.add(128) };
        assert_eq!((mbuf.room_behind(128), mbuf.room_behind(129)), ((start, 128, 128), (frame, 0, 128)));
        assert_eq!((mbuf.frame_len(), mbuf.room_mut().len()), (60, 128));
        mbuf.room_mut()[..2].copy_from_slice(b"ab");
        mbuf.trim_front(1);
        assert_eq!((mbuf.frame_len(), mbuf.room_mut().len(), mbuf.frame()[0]), (59, 127, b'b'));
        assert!(mbuf.grow_front(129) && !mbuf.grow_front(1), "no more than the headroom");
        assert_eq!((mbuf.frame_len(), mbuf.chain_len(), mbuf.room_mut().len()), (188, 188, 256));
        mbuf.trim_front(1000);
        assert_eq!(mbuf.frame_len(), 0);
        mbuf.set_frame_len(1000);
        assert_eq!(mbuf.frame_len(), 256 - 188);
    }

    #[test]
    fn checksum_flags_are_told_apart() {
        let mut fake = Fake::new(256, 128, 60);
        let mut mbuf = fake.mbuf();
        assert_eq!(mbuf.rx_checksums(), RxChecksums::default());
        mbuf.set_ol_flags(
            sys::DPDK_SYS_RTE_MBUF_F_RX_IP_CKSUM_GOOD | sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_BAD,
        );
        assert_eq!(mbuf.rx_checksums(), RxChecksums { ipv4: RxChecksum::Good, udp: RxChecksum::Bad });
        mbuf.set_ol_flags(
            sys::DPDK_SYS_RTE_MBUF_F_RX_IP_CKSUM_NONE | sys::DPDK_SYS_RTE_MBUF_F_RX_L4_CKSUM_NONE,
        );
        assert_eq!(mbuf.rx_checksums(), RxChecksums { ipv4: RxChecksum::Unknown, udp: RxChecksum::Unfilled });
        let udp = sys::DPDK_SYS_RTE_MBUF_F_TX_UDP_CKSUM;
        for (version, flag) in [
            (IpVersion::V6, sys::DPDK_SYS_RTE_MBUF_F_TX_IPV6),
            (IpVersion::V4, sys::DPDK_SYS_RTE_MBUF_F_TX_IPV4),
        ] {
            mbuf.request_udp_checksum(version, 14, 20);
            Mbuf::keep_flags(slice::from_mut(&mut mbuf), TX_UDP_CHECKSUM);
            assert_eq!(mbuf.ol_flags(), flag | udp, "one version, the last asked for");
        }
        Mbuf::keep_flags(slice::from_mut(&mut mbuf), 0);
        assert_eq!(mbuf.ol_flags(), 0);
    }

    #[test]
    fn frames_are_chained_to_one_tail_as_long_as_its_references_can_be_counted() {
        let (mut first, mut second, mut end) =
            (Fake::new(256, 128, 42), Fake::new(256, 128, 62), Fake::new(2048, 128, 1000));
        let (mut first, mut second, mut tail) = (first.mbuf(), second.mbuf(), Tail::new(end.mbuf()));
        assert!(first.chain(&mut tail) && second.chain(&mut tail));
        assert_eq!((first.segments(), first.frame_len(), first.chain_len()), (2, 42, 1042));
        assert_eq!((second.segments(), second.frame_len(), second.chain_len()), (2, 62, 1062));
        assert_eq!((tail.payload().len(), tail.packet().references().load(Relaxed)), (1000, 1 + RESERVE));
        let given_back = tail.into_packet();
        assert_eq!(given_back.references().load(Relaxed), 3, "its own, and two frames'");
        let mut third = Fake::new(256, 128, 42);
        let (mut third, mut tail) = (third.mbuf(), Tail::new(given_back));
        // SAFETY: a 16-bit field of a live header.
        unsafe { tail.packet().field::<u16>(sys::DPDK_SYS_MBUF_refcnt).write(MAX_REFERENCES) };
        assert!(!third.chain(&mut tail) && third.is_plain() && third.chain_len() == 42);
    }

    #[test]
    fn only_a_plain_mbuf_is_plain() {
        let mut fake = Fake::new(256, 128, 60);
        let mut mbuf = fake.mbuf();
        assert!(mbuf.is_plain() && !mbuf.is_shared());
        mbuf.set_ol_flags(sys::DPDK_SYS_RTE_MBUF_F_INDIRECT);
        assert!(!mbuf.is_plain() && mbuf.is_shared());
        mbuf.set_ol_flags(0);
        for offset in [sys::DPDK_SYS_MBUF_refcnt, sys::DPDK_SYS_MBUF_nb_segs] {
            // SAFETY: 16-bit fields of a live header.
            unsafe { mbuf.field::<u16>(offset).write(2) };
            assert!(!mbuf.is_plain());
            // SAFETY: as above.
            unsafe { mbuf.field::<u16>(offset).write(1) };
        }
    }
}
