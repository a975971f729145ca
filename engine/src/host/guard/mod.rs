//! The guards: what protects the server, and others from it, against datagrams that are
//! valid. All of one lcore, on the time that it is given, in tables of fixed size.
//!
//! - `source_port`: no loops with other services;
//! - `rate`: so many datagrams a second from a source, and in all; ICMP errors likewise;
//! - `validation`: few bytes to a source that has not shown that it is there, and cookies
//!   (`cookie`) with which it does;
//! - `conversations`: whom we spoke to first, whose answers are not guarded against.
#![cfg_attr(not(test), expect(dead_code, reason = "used by the host once wired"))]

mod config;
mod conversations;
mod cookie;
mod rate;
mod source_port;
mod table;
mod validation;

pub use config::{GuardConfig, GuardConfigError, Guards, Level};
pub use cookie::Cookie;
