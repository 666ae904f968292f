//! What becomes of a transfer when the disk fails: at any call, and when the power goes at any moment; and when
//! somebody changes what an earlier transfer left.
//!
//! The transfers run in one thread, without sockets and without time, with real files. `cargo test` lets each
//! call fail with one error and tries 300 crashes and 100 changes; the campaign each call with all errors, 5,000
//! crashes and 10,000 changes: `cargo test --release --test disk -- --ignored`
//!
//! - `VOLLEY_CRASHES=N` tries N crashes, `VOLLEY_CHANGES=N` N changes;
//! - `VOLLEY_SEED=N` is what they are drawn from, 1 unless given.

mod calls;
mod carrier;
mod changed;
mod changes;
mod existing;
mod full;
mod model;
mod moved;
mod power;
mod race;
mod tree;
mod versions;

/// What a failing test should show.
#[expect(clippy::print_stdout, reason = "libtest shows it if the test fails")]
fn note(text: &str) {
    println!("{text}");
}
