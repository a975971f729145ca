//! The filter that tells super-frames: a BPF program of six instructions.
//!
//! A sender on this machine that uses `UDP_SEGMENT` hands a virtual device several datagrams
//! as one packet, for the device to cut. Nothing in its bytes says so; only the kernel's
//! `sk_buff` does (`gso_size`). What a filter returns is how many bytes of the frame go to
//! the ring, so that this one lets [`SUPER_FRAME_CAPTURED`] of a super-frame through: the
//! ring's reader knows it by that, and all other frames come as without a filter.
//!
//! `PACKET_VNET_HDR` would tell too, without the right that loading a program takes, but not
//! safely with a TPACKET_V2 ring: a frame whose kind of segmentation has no number there
//! leaves its slot marked as being written (`tpacket_rcv`), and the ring never receives
//! again. On Linux 6.18 one frame that a TAP device's program sends as
//! `VIRTIO_NET_HDR_GSO_UDP` is enough; before 6.2 there is no number for `UDP_SEGMENT` itself.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::c_int;

/// Bytes of a super-frame that reach the ring. A frame that is cut for the lack of room keeps more.
pub(super) const SUPER_FRAME_CAPTURED: u32 = 1;

/// A program in the kernel, to be attached to sockets.
#[derive(Debug)]
pub(super) struct SuperFrameFilter(OwnedFd);

/// `struct bpf_insn`.
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The members of `union bpf_attr` for `BPF_PROG_LOAD`, as far as they are needed.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
}

static LICENSE: &CStr = c"Dual MIT/GPL";
const BPF_PROG_LOAD: c_int = 5;
const BPF_PROG_TYPE_SOCKET_FILTER: u32 = 1;
/// Where `gso_size` stands in `struct __sk_buff`: Linux 5.7 and newer.
const GSO_SIZE: i16 = 176;

/// Codes that only the extended instruction set has: `BPF_ALU | BPF_MOV | BPF_K`, `BPF_JMP | BPF_EXIT`.
const MOVE: u32 = 0xb4;
const EXIT: u32 = 0x95;
/// Bit fields of four bits each, in the machine's order: destination r0, source r0 or r1.
const R0: u8 = 0;
const R0_FROM_R1: u8 = if cfg!(target_endian = "little") { 0x10 } else { 0x01 };

static PROGRAM: [Instruction; 6] = [
    // r0 = gso_size. The packet is r1.
    instruction(libc::BPF_LDX | libc::BPF_MEM | libc::BPF_W, R0_FROM_R1, GSO_SIZE, 0),
    // If r0 is 0, over the next two.
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, R0, 2, 0),
    instruction(MOVE, R0, 0, SUPER_FRAME_CAPTURED.cast_signed()),
    instruction(EXIT, R0, 0, 0),
    // All of the frame.
    instruction(MOVE, R0, 0, -1),
    instruction(EXIT, R0, 0, 0),
];

const fn instruction(code: u32, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code: code as u8, registers, offset, immediate }
}

impl SuperFrameFilter {
    /// Hands the program to the kernel. Takes CAP_BPF, or a system that lets everybody.
    pub(super) fn load() -> io::Result<Self> {
        let load = Load {
            program_type: BPF_PROG_TYPE_SOCKET_FILTER,
            instruction_count: PROGRAM.len() as u32,
            instructions: PROGRAM.as_ptr().expose_provenance() as u64,
            license: LICENSE.as_ptr().expose_provenance() as u64,
            log_level: 0,
            log_size: 0,
            log_buffer: 0,
        };
        // SAFETY: the attributes live through the call and their length is told; they point to
        // that many instructions and to a string, both of which are constants.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const load, size_of::<Load>()) };
        let Some(fd) = c_int::try_from(fd).ok().filter(|&fd| fd >= 0) else {
            return Err(io::Error::last_os_error());
        };
        // SAFETY: the descriptor was opened just now and is nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The descriptor, for the socket's option.
    pub(super) fn descriptor(&self) -> c_int {
        self.0.as_raw_fd()
    }
}
