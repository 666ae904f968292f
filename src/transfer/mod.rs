//! Floor 3: what is moved, and whether it arrived.
//!
//! The files of a transfer, in the order offered, form one space of bytes. A [`sender::Sending`] has it
//! read by a [`source::Source`], a [`receiver::Receiving`] has it written by a [`sink::Sink`]; between
//! them go [`message`]s. None of them knows whether UDP or TCP carries all this. A
//! [`session::Session`] joins either of them to a connection of our own transport; over TCP the
//! stream itself does.
//!
//! Three words: *acknowledged* bytes were handed to the sink, *written* bytes are in the file,
//! a *committed* file is verified, on stable storage, and has its name.

pub mod area;
pub mod budget;
mod check;
mod commit;
pub mod directory;
pub mod disk;
mod early;
pub mod ending;
pub mod entry;
pub mod exchange;
pub mod group_memory;
pub mod handover;
pub mod hash;
mod hearing;
pub mod holes;
mod incoming;
pub mod job;
pub mod journal;
mod judge;
pub mod keeping;
mod kept;
mod made;
pub mod manifest;
pub mod message;
pub mod name;
pub mod open_files;
pub mod outcome;
mod page_buffer;
mod place;
pub mod positioned;
pub mod progress;
pub mod receiver;
pub mod rules;
pub mod sender;
pub mod session;
pub mod sink;
pub mod source;
pub mod source_job;
pub mod spool;
pub mod stall;
mod tree;
mod unfinished;
mod values;
pub mod walk;
pub mod window;
