//! Floor 2: one reliable connection, without sockets, clocks, files or threads.
//!
//! A [`Connection`] is a state machine. Whoever owns it (a driver over a real socket, or a simulation)
//! passes in what happened and takes out what is to be done; `now` is always a parameter:
//!
//! 1. [`Connection::handle_datagram`] for each datagram that arrived, and by which path;
//! 2. [`Connection::handle_timeout`] once the deadline has passed;
//! 3. [`Connection::poll_event`] until `None`: connected, control bytes to read, closed;
//! 4. whatever the transfer wants: write control bytes, release bytes for sending, report what was
//!    written, close;
//! 5. [`Connection::poll_transmit`] until `false`: each time a [`batch::Batch`] of packets, whose
//!    [`batch::Slot`]s the owner fills with file bytes, seals, and sends by [`batch::Batch::path`];
//! 6. [`Connection::poll_timeout`]: wait until then, or for a datagram.
//!
//! The connection itself is glue: handshake, sent packets, loss detection, RTT, pacer, rate limit, congestion,
//! delivery rate, ACK tracker, flow control, MTU search, paths, control stream and timers each have their own file and know
//! nothing of each other.

pub mod ack_tracker;
pub mod arq;
pub mod batch;
pub mod config;
pub mod congestion;
pub mod connection;
pub mod control_stream;
pub mod delivery;
pub mod ecn;
pub mod error;
pub mod flow;
pub mod handshake;
pub mod limits;
pub mod loss;
pub mod mtu;
pub mod pacer;
pub mod path;
pub mod rate_limit;
pub mod recv_space;
pub mod refusal;
pub mod rtt;
pub mod send_space;
pub mod sent_packets;
pub mod skipped;
pub mod stats;
pub mod tail;
pub mod timers;
pub mod trace;

pub use connection::{Connection, Event};
pub use path::PathId;
