//! volley sends files between machines over UDP with its own reliability layer, carries the same
//! transfer over plain TCP, and makes links worse on purpose so that reliability can be watched.
//!
//! The library is a house with floors; a module imports from lower floors only:
//!
//! | floor | modules | |
//! |---|---|---|
//! | 5 | [`cli`] | commands, arguments, progress, exit codes: the only floor that prints |
//! | 4 | [`net`], [`sim`], `lab`, [`report`] | sockets; virtual time; numbers to text and pictures |
//! | 3 | [`transfer`], [`os`] | what is moved: names, messages, source, sink, verification; clock and waiting |
//! | 2 | [`transport`] | how it is moved: one reliable connection, without I/O |
//! | 1 | [`wire`], [`link`] | bytes to typed packets; a packet's fate on an imperfect link |
//! | 0 | [`base`] | time, units, range sets |
//!
//! To embed it, begin with [`net::call::Call`] and [`net::listen::Listener`]; to drive the protocol
//! without sockets, with [`transfer::session::Session`] or [`transport::Connection`].

#![cfg_attr(
    test,
    expect(clippy::cast_possible_truncation, reason = "tests count in small numbers")
)]

pub mod base;
pub mod cli;
#[cfg(target_os = "linux")]
pub mod lab;
pub mod link;
pub mod net;
pub mod os;
pub mod report;
pub mod sim;
pub mod transfer;
pub mod transport;
pub mod wire;
