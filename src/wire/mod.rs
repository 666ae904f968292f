//! Floor 1: bytes to typed packets and back.
//!
//! One packet per datagram: a [`header`] of 16 bytes, then either the payload of a DATA packet, or
//! [`frame`]s, or a [`handshake`] message; then the trailer that [`protection`] adds. All integers
//! are big-endian; variable-length integers are those of RFC 9000 16. PROTOCOL.md has the diagrams.
//!
//! Everything read here is hostile: reads are checked, nothing panics, and no length that a peer
//! names is trusted before it is compared with the bytes that are there.

pub mod cursor;
pub mod describe;
pub mod frame;
pub mod handshake;
pub mod header;
pub mod protection;
