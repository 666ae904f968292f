//! `--max-rate` over a stream: the sender writes, or the receiver reads, as slowly as the user asks. The kernel of
//! a sender whose peer reads slowly sends slowly.

use super::Stream;
use crate::base::time::Duration;
use crate::base::units::Rate;
use crate::os::clock::Clock;
use crate::transport::pacer::Pacer;
use std::io::{self, Read};
use std::ops::Deref;
use std::sync::mpsc::channel;

/// Bytes of a stream in one IP packet, and bytes of that packet: IPv4 and TCP headers with timestamps, MTU 1500.
const SEGMENT: u64 = 1448;
const PACKET: u64 = 1500;

/// As much as this much time would have let go is made up for: threads are woken late, and what the kernel holds
/// keeps a burst from the line.
const CATCH_UP: Duration = Duration::from_millis(50);

/// What goes at once takes no longer than this, so that whoever waits is heard meanwhile.
const PIECE: Duration = Duration::from_millis(50);

/// Holds one direction of a stream to a rate.
#[derive(Debug)]
pub(super) struct Throttle {
    /// Bytes of the stream in a second.
    rate: f64,
    pacer: Pacer,
    clock: Clock,
}

impl Throttle {
    /// At most `rate` of IP packets, from now on.
    pub(super) fn new(rate: Rate) -> Self {
        let clock = Clock::start();
        let pacer = Pacer::new(clock.now(), 0).catching_up(CATCH_UP);
        Self { rate: stream_rate(rate), pacer, clock }
    }

    /// Waits until some bytes may go, and says how many.
    pub(super) fn wait(&mut self) -> usize {
        let (_nobody, never) = channel::<()>();
        loop {
            let now = self.clock.now();
            match self.pacer.allowance(now, self.rate, SEGMENT) {
                Ok(bytes) => return usize::try_from(bytes).unwrap_or(usize::MAX),
                Err(later) => drop(never.recv_timeout(later.since(now))),
            }
        }
    }

    /// So many bytes went.
    pub(super) fn note(&mut self, bytes: usize) {
        self.pacer.on_sent(bytes as u64);
    }
}

/// What is read of a stream, at a rate if there is one.
#[derive(Debug)]
pub(super) struct ThrottledStream {
    stream: Stream,
    throttle: Option<Throttle>,
}

impl ThrottledStream {
    /// `stream`, read at `rate` at most.
    pub(super) fn new(stream: Stream, rate: Option<Rate>) -> Self {
        Self { stream, throttle: rate.map(Throttle::new) }
    }
}

impl Deref for ThrottledStream {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.stream
    }
}

impl Read for ThrottledStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(throttle) = &mut self.throttle else {
            return self.stream.read(buffer);
        };
        let most = throttle.wait().min(buffer.len());
        let count = self.stream.read(&mut buffer[..most])?;
        throttle.note(count);
        Ok(count)
    }
}

/// Bytes of a stream in a second that take `rate` of a line.
fn stream_rate(rate: Rate) -> f64 {
    rate.bytes_per_second() * SEGMENT as f64 / PACKET as f64
}

/// Bytes in one record, at most, where the stream is held to `rate`.
pub(super) fn piece(rate: Option<Rate>, most: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a float cast saturates"
    )]
    let slow = rate.map(|rate| (stream_rate(rate) * PIECE.as_secs_f64()) as usize);
    slow.map_or(most, |slow| slow.clamp(2 * 1448, most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Instant;

    /// A thread that is woken up to 10 ms late, and writes what it may.
    #[test]
    fn a_stream_keeps_its_rate_however_late_its_thread_wakes() {
        for bits in [64_000u64, 5_000_000, 100_000_000, 1_000_000_000] {
            let rate = Rate::from_bits_per_second(bits);
            let (mut now, mut sent, mut wakes) = (Instant::ZERO, 0u64, 0u64);
            let mut pacer = Pacer::new(now, 0).catching_up(CATCH_UP);
            let end = Instant::ZERO + Duration::from_secs(20);
            while now < end {
                match pacer.allowance(now, stream_rate(rate), SEGMENT) {
                    Ok(bytes) => {
                        pacer.on_sent(bytes);
                        sent += bytes;
                    }
                    Err(later) => {
                        wakes += 1;
                        now = later + Duration::from_micros(wakes * 7919 % 10_000);
                    }
                }
            }
            let on_the_line = (sent * PACKET / SEGMENT * 8) as f64 / 20.0;
            let share = on_the_line / bits as f64;
            assert!((0.98..1.02).contains(&share), "{rate}: {share}");
        }
    }

    #[test]
    fn a_record_takes_no_longer_than_its_writer_may_be_deaf() {
        let most = 256 << 10;
        assert_eq!(piece(None, most), most);
        for (bits, bytes) in [(64_000, 2_896), (8_000_000, 48_266), (1_000_000_000, most)] {
            assert_eq!(piece(Some(Rate::from_bits_per_second(bits)), most), bytes);
        }
    }
}
