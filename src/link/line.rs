//! A link together with the datagrams that are in it.

use super::{Arrival, BitFlip, Fate, Link};
use crate::base::ecn::Ecn;
use crate::base::time::{Duration, Instant, earlier};
use std::collections::{BTreeMap, VecDeque};

/// Datagrams in the link at the same time; the rest is lost, as in a queue that is full. A second of
/// a gigabit is less than this.
const HELD_MAX: usize = 1 << 17;

/// Bytes of these datagrams: as many of them as fill an Ethernet frame have room.
const HELD_BYTES_MAX: usize = HELD_MAX * 1500;

/// Buffers are used again unless they have room for more than this: those of a frame are, and they
/// can never be more bytes than may be held.
const BUFFER_MAX: usize = 1500;

/// One direction of a link, holding each datagram and what belongs to it until it comes out.
///
/// Nearly all come out in the order in which they went in, so they wait in a queue; only those that
/// overtake one of the queue are sorted.
#[derive(Debug)]
pub struct Line<T> {
    link: Link,
    in_order: VecDeque<(Moment, Held<T>)>,
    overtaking: BTreeMap<Moment, Held<T>>,
    /// How many were ever held.
    order: u64,
    held_bytes: usize,
    /// Buffers for what comes next.
    spare: Vec<Vec<u8>>,
}

/// When a datagram comes out, and in which order those of one moment do.
type Moment = (Instant, u64);

#[derive(Debug)]
struct Held<T> {
    tag: T,
    ecn: Ecn,
    bytes: Vec<u8>,
}

impl<T: Copy> Line<T> {
    /// An empty line.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self {
            link,
            in_order: VecDeque::new(),
            overtaking: BTreeMap::new(),
            order: 0,
            held_bytes: 0,
            spare: Vec::new(),
        }
    }

    /// Puts a datagram in; with its headers, `size` bytes of IP that say `ecn` of congestion.
    pub fn put(
        &mut self,
        now: Instant,
        size: usize,
        (tag, ecn): (T, Ecn),
        datagram: &[u8],
    ) -> Fate {
        self.put_for(now, size, (tag, ecn), datagram, Duration::ZERO)
    }

    /// The same for somebody who is so much farther behind the link than others.
    pub fn put_for(
        &mut self,
        now: Instant,
        size: usize,
        (tag, ecn): (T, Ecn),
        datagram: &[u8],
        farther: Duration,
    ) -> Fate {
        let fate = self.link.carry(now, size, ecn);
        if let Fate::Arrives(Arrival { at, is_marked, flip, is_doubled }) = fate {
            let ecn = if is_marked { Ecn::Ce } else { ecn };
            self.hold(at + farther, (tag, ecn), datagram, flip);
            if is_doubled {
                self.hold(at + farther, (tag, ecn), datagram, None);
            }
        }
        fate
    }

    fn hold(&mut self, at: Instant, (tag, ecn): (T, Ecn), datagram: &[u8], flip: Option<BitFlip>) {
        if self.len() >= HELD_MAX || self.held_bytes + datagram.len() > HELD_BYTES_MAX {
            self.link.count_overflow();
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(datagram);
        if let Some(flip) = flip {
            flip.apply(&mut bytes);
        }
        self.held_bytes += bytes.len();
        let moment = (at, self.order);
        self.order += 1;
        let held = Held { tag, ecn, bytes };
        if self.in_order.back().is_none_or(|(last, _)| *last < moment) {
            self.in_order.push_back((moment, held));
        } else {
            self.overtaking.insert(moment, held);
        }
    }

    /// Puts the next datagram that has come out in the place of what `datagram` holds; what it says of
    /// congestion is the link's word, if that marked it.
    pub fn take(&mut self, now: Instant, datagram: &mut Vec<u8>) -> Option<(T, Ecn)> {
        let held = self.take_first(now)?;
        self.held_bytes -= held.bytes.len();
        let spare = std::mem::replace(datagram, held.bytes);
        if spare.capacity() <= BUFFER_MAX {
            self.spare.push(spare);
        }
        Some((held.tag, held.ecn))
    }

    fn take_first(&mut self, now: Instant) -> Option<Held<T>> {
        let next = self.next_moment().filter(|(at, _)| *at <= now)?;
        self.overtaking.remove(&next).or_else(|| self.in_order.pop_front().map(|(_, held)| held))
    }

    /// When the next datagram comes out.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next_moment().map(|(at, _)| at)
    }

    fn next_moment(&self) -> Option<Moment> {
        let first = self.in_order.front().map(|(moment, _)| *moment);
        let overtaking = self.overtaking.first_key_value().map(|(moment, _)| *moment);
        earlier(first, overtaking)
    }

    /// Datagrams held.
    fn len(&self) -> usize {
        self.in_order.len() + self.overtaking.len()
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
    use crate::base::units::Share;
    use crate::link::{Direction, LinkConfig, Reordering};

    fn line(config: &LinkConfig) -> Line<u8> {
        Line::new(Link::new(config, 1, Direction::Out))
    }

    fn take(line: &mut Line<u8>, now: Instant) -> Option<(u8, Vec<u8>)> {
        let mut datagram = Vec::new();
        line.take(now, &mut datagram).map(|(tag, _)| (tag, datagram))
    }

    #[test]
    fn a_datagram_comes_out_when_its_time_has_come() {
        let delay = Duration::from_millis(25);
        let mut line = line(&LinkConfig { delay, ..LinkConfig::default() });
        line.put(Instant::ZERO, 29, (7, Ecn::NotEct), b"x");
        let at = Instant::ZERO + delay;
        assert_eq!((line.next(), take(&mut line, Instant::ZERO)), (Some(at), None));
        assert_eq!(take(&mut line, at), Some((7, b"x".to_vec())));
        assert_eq!((line.next(), take(&mut line, at)), (None, None));
    }

    #[test]
    fn a_damaged_datagram_differs_in_one_bit_and_its_copy_in_none() {
        let all = Share::new(1.0);
        let mut line =
            line(&LinkConfig { corruption: all, duplication: all, ..LinkConfig::default() });
        let sent = [0u8; 100];
        line.put(Instant::ZERO, 128, (0, Ecn::NotEct), &sent);
        let (_, damaged) = take(&mut line, Instant::ZERO).expect("it arrives");
        assert_eq!(damaged.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        assert_eq!(take(&mut line, Instant::ZERO), Some((0, sent.to_vec())));
        // There is no bit to flip in nothing.
        line.put(Instant::ZERO, 28, (0, Ecn::NotEct), &[]);
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let reordering = Reordering { share: Share::new(0.5), by: Duration::from_millis(5) };
        let mut line = line(&LinkConfig { reordering, ..LinkConfig::default() });
        for number in 0..100 {
            line.put(Instant::ZERO, 29, (number, Ecn::NotEct), b"x");
        }
        let later = Instant::ZERO + reordering.by;
        let order: Vec<u8> =
            std::iter::from_fn(|| take(&mut line, later)).map(|(number, _)| number).collect();
        assert_eq!(order.len(), 100);
        assert_eq!(order.windows(2).filter(|pair| pair[0] > pair[1]).count(), 1);
    }

    #[test]
    fn there_is_a_bound_on_what_is_held() {
        let mut line = line(&LinkConfig::default());
        for _ in 0..HELD_MAX + 5 {
            line.put(Instant::ZERO, 28, (0, Ecn::NotEct), &[]);
        }
        assert_eq!((line.len(), line.link().counts().lost.queue), (HELD_MAX, 5));
    }

    #[test]
    fn large_datagrams_reach_the_bound_sooner() {
        let mut line = line(&LinkConfig::default());
        let large = vec![0; 60_000];
        let room = HELD_BYTES_MAX / large.len();
        for _ in 0..room + 5 {
            line.put(Instant::ZERO, 60_028, (0, Ecn::NotEct), &large);
        }
        assert_eq!((line.len(), line.link().counts().lost.queue), (room, 5));
        assert!(take(&mut line, Instant::ZERO).is_some());
        line.put(Instant::ZERO, 60_028, (0, Ecn::NotEct), &large);
        assert_eq!((line.len(), line.link().counts().lost.queue), (room, 5));
    }
}
