//! A link together with the datagrams that are in it.

use super::{Arrival, Fate, Link};
use crate::base::time::Instant;
use std::collections::BTreeMap;

/// Datagrams in the link at the same time; the rest is lost, as in a queue that is full. A second of
/// a gigabit is less than this.
const HELD_MAX: usize = 1 << 17;

/// Bytes of these datagrams: as many of them as fill an Ethernet frame have room.
const HELD_BYTES_MAX: usize = HELD_MAX * 1500;

/// One direction of a link, holding each datagram and what belongs to it until it comes out.
#[derive(Debug)]
pub struct Line<T> {
    link: Link,
    /// By when they come out, and in which order those of one moment do.
    held: BTreeMap<(Instant, u64), (T, Vec<u8>)>,
    order: u64,
    held_bytes: usize,
}

impl<T: Copy> Line<T> {
    /// An empty line.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, held: BTreeMap::new(), order: 0, held_bytes: 0 }
    }

    /// Puts a datagram in; with its headers, `size` bytes of IP.
    pub fn put(&mut self, now: Instant, size: usize, tag: T, datagram: &[u8]) -> Fate {
        let fate = self.link.carry(now, size);
        if let Fate::Arrives(Arrival { at, flip, is_doubled }) = fate {
            let mut bytes = datagram.to_vec();
            if let Some(flip) = flip {
                flip.apply(&mut bytes);
            }
            self.hold(at, tag, bytes);
            if is_doubled {
                self.hold(at, tag, datagram.to_vec());
            }
        }
        fate
    }

    fn hold(&mut self, at: Instant, tag: T, bytes: Vec<u8>) {
        if self.held.len() < HELD_MAX && self.held_bytes + bytes.len() <= HELD_BYTES_MAX {
            self.held_bytes += bytes.len();
            self.held.insert((at, self.order), (tag, bytes));
            self.order += 1;
        } else {
            self.link.count_overflow();
        }
    }

    /// The next datagram that has come out.
    pub fn take(&mut self, now: Instant) -> Option<(T, Vec<u8>)> {
        let first = self.held.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (tag, bytes) = first.remove();
        self.held_bytes -= bytes.len();
        Some((tag, bytes))
    }

    /// When the next datagram comes out.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    /// The link.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// From now on another link; what is in the line comes out as it was to.
    pub fn change(&mut self, link: Link) {
        self.link = link;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::base::units::Share;
    use crate::link::{Direction, LinkConfig, Reordering};

    fn line(config: &LinkConfig) -> Line<u8> {
        Line::new(Link::new(config, 1, Direction::Out))
    }

    #[test]
    fn a_datagram_comes_out_when_its_time_has_come() {
        let delay = Duration::from_millis(25);
        let mut line = line(&LinkConfig { delay, ..LinkConfig::default() });
        line.put(Instant::ZERO, 29, 7, b"x");
        let at = Instant::ZERO + delay;
        assert_eq!((line.next(), line.take(Instant::ZERO)), (Some(at), None));
        assert_eq!(line.take(at), Some((7, b"x".to_vec())));
        assert_eq!((line.next(), line.take(at)), (None, None));
    }

    #[test]
    fn a_damaged_datagram_differs_in_one_bit_and_its_copy_in_none() {
        let all = Share::new(1.0);
        let mut line =
            line(&LinkConfig { corruption: all, duplication: all, ..LinkConfig::default() });
        let sent = [0u8; 100];
        line.put(Instant::ZERO, 128, 0, &sent);
        let (_, damaged) = line.take(Instant::ZERO).expect("it arrives");
        assert_eq!(damaged.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        assert_eq!(line.take(Instant::ZERO), Some((0, sent.to_vec())));
        // There is no bit to flip in nothing.
        line.put(Instant::ZERO, 28, 0, &[]);
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let reordering = Reordering { share: Share::new(0.5), by: Duration::from_millis(5) };
        let mut line = line(&LinkConfig { reordering, ..LinkConfig::default() });
        for number in 0..100 {
            line.put(Instant::ZERO, 29, number, b"x");
        }
        let later = Instant::ZERO + reordering.by;
        let order: Vec<u8> =
            std::iter::from_fn(|| line.take(later)).map(|(number, _)| number).collect();
        assert_eq!(order.len(), 100);
        assert_eq!(order.windows(2).filter(|pair| pair[0] > pair[1]).count(), 1);
    }

    #[test]
    fn there_is_a_bound_on_what_is_held() {
        let mut line = line(&LinkConfig::default());
        for _ in 0..HELD_MAX + 5 {
            line.put(Instant::ZERO, 28, 0, &[]);
        }
        assert_eq!((line.held.len(), line.link().counts().lost.queue), (HELD_MAX, 5));
    }

    #[test]
    fn large_datagrams_reach_the_bound_sooner() {
        let mut line = line(&LinkConfig::default());
        let large = vec![0; 60_000];
        let room = HELD_BYTES_MAX / large.len();
        for _ in 0..room + 5 {
            line.put(Instant::ZERO, 60_028, 0, &large);
        }
        assert_eq!((line.held.len(), line.link().counts().lost.queue), (room, 5));
        assert!(line.take(Instant::ZERO).is_some());
        line.put(Instant::ZERO, 60_028, 0, &large);
        assert_eq!((line.held.len(), line.link().counts().lost.queue), (room, 5));
    }
}
