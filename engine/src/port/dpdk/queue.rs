//! A queue pair of a device: bursts in, bursts out.

use std::mem;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::Arc;

use dpdk_sys as sys;

use super::device::Device;
use super::gate::{Gate, Turn};
use super::ledger;
use super::mbuf::{Mbuf, TX_UDP_CHECKSUM};
use super::pool::Pool;
use super::wakeup::RxInterrupt;
use crate::packet::Burst;
use crate::port::{Capabilities, FrameQueue};
use crate::telemetry::{Counter, Counters};

/// One receive and one transmit queue of a device, for one lcore at a time.
pub struct DpdkQueue {
    port: u16,
    queue: u16,
    /// Flags that a frame may have when it goes to the driver: the offloads that were granted.
    tx_flags: u64,
    capabilities: Capabilities,
    counters: Arc<Counters>,
    /// Ended before the device may be closed.
    wakeup: Option<RxInterrupt>,
    gate: Arc<Gate>,
    pool: Arc<Pool>,
    // Dropped after `pool`: who has the last share of the device may count on the pool's too.
    /// The device stays open while a queue of it lives.
    _device: Arc<Device>,
    /// Where received mbufs wait while those among them that are not plain are made so.
    irregular: Vec<Mbuf>,
}

impl DpdkQueue {
    /// # Safety
    /// The device is started with this queue, the pool is the queue's, and no other value is
    /// made for the same queue.
    pub(super) unsafe fn new(
        device: &Arc<Device>,
        queue: u16,
        pool: &Arc<Pool>,
        capabilities: Capabilities,
        burst: usize,
        gate: Arc<Gate>,
    ) -> Self {
        Self {
            gate,
            port: device.port(),
            queue,
            tx_flags: if capabilities.tx_udp_checksum { TX_UDP_CHECKSUM } else { 0 },
            capabilities,
            counters: Arc::default(),
            wakeup: None,
            pool: Arc::clone(pool),
            irregular: Vec::with_capacity(burst),
            _device: Arc::clone(device),
        }
    }

    /// With an interrupt for received frames.
    pub(super) fn woken_by(mut self, wakeup: Option<RxInterrupt>) -> Self {
        self.wakeup = wakeup;
        self
    }

    /// Does what the gate wants, which is not open. Whether it is then.
    #[cold]
    fn pass(&mut self) -> bool {
        match self.gate.turn() {
            Turn::Leave => {
                self.wakeup.iter_mut().for_each(RxInterrupt::detach);
                self.gate.park();
                false
            }
            Turn::Stay => false,
            Turn::Return => {
                self.wakeup.iter_mut().for_each(RxInterrupt::attach);
                self.gate.open()
            }
        }
    }

    /// Makes the mbufs of a burst from `start` on plain, dropping those that can't be, in
    /// order. Gives the number of frames that were lost for want of a buffer.
    #[cold]
    fn regularise(&mut self, burst: &mut Burst<Mbuf>, start: usize) -> u64 {
        let mut irregular = mem::take(&mut self.irregular);
        while burst.len() > start
            && let Some(mbuf) = burst.pop()
        {
            irregular.push(mbuf);
        }
        let mut unbuffered = 0;
        while let Some(mbuf) = irregular.pop() {
            let made = if mbuf.is_plain() { Ok(mbuf) } else { self.make_plain(mbuf) };
            // There is room: no more go in than came out.
            match made.map(|mbuf| burst.push(mbuf)) {
                Ok(pushed) => debug_assert!(pushed.is_ok()),
                Err(Counter::RxNoBuffer) => {
                    self.counters.add(Counter::RxNoBuffer, 1);
                    unbuffered += 1;
                }
                Err(reason) => self.counters.add(reason, 1),
            }
        }
        self.irregular = irregular;
        unbuffered
    }

    /// A plain mbuf with the same frame, or why there is none; then the given one is freed.
    fn make_plain(&self, mbuf: Mbuf) -> Result<Mbuf, Counter> {
        let segments = mbuf.segments();
        let event = if mbuf.is_shared() {
            Counter::RxCopied
        } else {
            // SAFETY: a live chain that is ours; other references to its later segments are kept.
            if unsafe { sys::shim_rte_pktmbuf_linearize(mbuf.as_raw().as_ptr()) } == 0 {
                self.counters.add(Counter::RxLinearised, 1);
                return Ok(mbuf);
            }
            Counter::RxLinearised
        };
        let fits = mbuf.chain_len() <= self.pool.frame_room();
        // SAFETY: a live mbuf and a live pool; a frame that fits one buffer is copied into one.
        let copy = fits.then(|| unsafe {
            sys::rte_pktmbuf_copy(mbuf.as_raw().as_ptr(), self.pool.as_ptr(), 0, u32::MAX)
        });
        // SAFETY: our reference to it, which the value stands for, is given up.
        unsafe { sys::shim_rte_pktmbuf_free(mbuf.into_raw().as_ptr()) };
        match copy.map(NonNull::new) {
            Some(Some(copy)) => {
                self.counters.add(event, 1);
                // SAFETY: a fresh mbuf of one segment.
                Ok(unsafe { Mbuf::from_raw(copy) })
            }
            Some(None) => Err(Counter::RxNoBuffer),
            None if segments > 1 => Err(Counter::RxSegmented),
            None => Err(Counter::RxTruncated),
        }
    }

    /// Lets the driver see a burst before it is sent, where it has checksums to do
    /// (`rte_eth_tx_prepare`). Gives the length of the prefix that may be sent.
    #[inline]
    fn prepare(&self, from: &mut Burst<Mbuf>, offered: u16) -> u16 {
        if self.tx_flags == 0 {
            return offered;
        }
        // SAFETY: an array of that many mbufs of ours, of a started queue that is ours.
        unsafe { sys::shim_rte_eth_tx_prepare(self.port, self.queue, raw(from), offered) }
    }

    /// Drops the first packet of a burst, which the driver will never take.
    #[cold]
    fn reject_first(&mut self, from: &mut Burst<Mbuf>) {
        for mbuf in from.drain_prefix(1) {
            // SAFETY: the value is given up.
            unsafe { sys::shim_rte_pktmbuf_free(mbuf.into_raw().as_ptr()) };
            self.counters.add(Counter::TxRejected, 1);
        }
    }
}

/// A burst's mbufs as DPDK takes them. [`Mbuf`] is a transparent pointer.
#[inline]
fn raw(burst: &mut Burst<Mbuf>) -> *mut *mut sys::rte_mbuf {
    burst.as_mut_ptr().cast()
}

/// How many packets of a burst one call takes.
#[inline]
fn call_len(packets: usize) -> u16 {
    u16::try_from(packets).unwrap_or(u16::MAX)
}

impl FrameQueue for DpdkQueue {
    type Packet = Mbuf;

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    #[inline]
    fn rx_burst(&mut self, into: &mut Burst<Mbuf>) {
        let start = into.len();
        let room = call_len(into.free());
        if room == 0 || !self.gate.is_open() && !self.pass() {
            return;
        }
        let spare = into.spare_mut().as_mut_ptr().cast();
        // SAFETY: room for that many pointers; the queue is started and ours alone.
        let received = unsafe { sys::shim_rte_eth_rx_burst(self.port, self.queue, spare, room) };
        if received == 0 {
            return;
        }
        // SAFETY: the driver wrote that many mbufs and gave them to us.
        unsafe { into.assume_received(received.into()) };
        let mut counted = u64::from(received);
        if !Mbuf::are_plain(&into[start..]) {
            // A frame that found no buffer counts as one that the device lost, not as received.
            counted -= self.regularise(into, start);
        }
        ledger::to_host(&into[start..]);
        self.counters.add(Counter::Received, counted);
    }

    #[inline]
    fn tx_burst(&mut self, from: &mut Burst<Mbuf>) {
        if from.is_empty() || !self.gate.is_open() {
            return;
        }
        let offered = call_len(from.len());
        Mbuf::keep_flags(from, self.tx_flags);
        let prepared = self.prepare(from, offered);
        // Booked before the call: a ring's other end may have them before it returns.
        ledger::to_port(from);
        // SAFETY: an array of that many mbufs of ours; what the call takes is removed below.
        let sent = unsafe { sys::shim_rte_eth_tx_burst(self.port, self.queue, raw(from), prepared) };
        // The driver's now: `Mbuf` has no `Drop`.
        drop(from.drain_prefix(sent.into()));
        self.counters.add(Counter::Sent, sent.into());
        if sent == prepared && prepared < offered {
            self.reject_first(from);
        }
        ledger::to_host(from);
    }

    fn wait_fd(&self) -> Option<RawFd> {
        self.wakeup.as_ref().map(RxInterrupt::descriptor)
    }

    fn arm_wakeup(&mut self) -> bool {
        !self.gate.is_open() || self.wakeup.as_ref().is_none_or(RxInterrupt::arm)
    }

    fn disarm_wakeup(&mut self) {
        if self.gate.is_open() {
            self.wakeup.iter().for_each(RxInterrupt::disarm);
        }
    }

    fn alloc_burst(&mut self, into: &mut Burst<Mbuf>) {
        let start = into.len();
        let mut count = into.free();
        while count > 0 {
            let spare = into.spare_mut().as_mut_ptr().cast();
            // SAFETY: room for that many pointers; a live pool.
            let error = unsafe { sys::shim_rte_pktmbuf_alloc_bulk(self.pool.as_ptr(), spare, count as u32) };
            if error == 0 {
                // SAFETY: the call wrote that many fresh mbufs.
                unsafe { into.assume_received(count) };
                count = count.min(into.free());
            } else {
                // All or nothing: a pool that is short may still have half as many.
                count /= 2;
            }
        }
        ledger::to_host(&into[start..]);
    }

    #[inline]
    fn free_burst(&mut self, from: &mut Burst<Mbuf>) {
        if from.is_empty() {
            return;
        }
        ledger::to_port(from);
        // SAFETY: an array of that many mbufs of ours, which are given up below.
        unsafe { sys::rte_pktmbuf_free_bulk(raw(from), from.len() as u32) };
        drop(from.drain());
    }
}

const _: () = assert!(size_of::<Mbuf>() == size_of::<*mut sys::rte_mbuf>());
const _: () = assert!(align_of::<Mbuf>() == align_of::<*mut sys::rte_mbuf>());
