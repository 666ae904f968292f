//! What is done with hostile bytes: one function for each thing in volley that decodes them.
//!
//! A target takes any bytes and panics where volley does something wrong with them. The fuzzer looks
//! for such bytes (`fuzz/run`), and `cargo test` repeats the ones in `corpus/`.

mod connection;
mod input;
mod journal;
mod message;
mod peer;
mod session;
mod stream;
mod text;
mod wire;

/// Takes hostile bytes.
pub type Target = fn(&[u8]);

/// Every target and its name, which is also that of its program and of its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("connection", connection::connection),
    ("control_stream", stream::control_stream),
    ("datagram", wire::datagram),
    ("frames", wire::frames),
    ("handshake", wire::handshake),
    ("journal", journal::journal),
    ("messages", message::messages),
    ("names", text::names),
    ("quantities", text::quantities),
    ("receiver", session::receiver),
    ("records", stream::records),
    ("sender", session::sender),
    ("varints", wire::varints),
];

/// Runs the target of that name.
///
/// # Panics
/// There is none, or the bytes showed a fault in volley.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target of that name").1(bytes);
}
