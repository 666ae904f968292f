//! The search for the largest datagram that the path carries (RFC 8899).
//!
//! Datagrams begin at the base size and grow when a padded probe is acknowledged. The first probe is
//! the largest size there could be; if it stays unanswered, the sizes that paths really have are
//! probed side by side. A search by halves would spend round trips on sizes that no path has.

use super::config::BASE_DATAGRAM;

/// UDP payloads of the common paths: Ethernet over IPv4 and IPv6, PPPoE over both, WireGuard over
/// both, the IPv6 minimum plus its headers.
const CANDIDATES: [u16; 7] = [1252, 1372, 1392, 1424, 1444, 1452, 1472];

/// RFC 8899 5.1.2 MAX_PROBES: each size is tried this often.
const MAX_PROBES: u8 = 3;

/// So many large packets lost with none arriving between them: at 40 % loss that is no accident.
const BLACK_HOLE: u32 = 32;

/// The size in use and those being tried.
#[derive(Clone, Debug)]
pub struct MtuSearch {
    current: u16,
    largest: u16,
    /// To be probed now, the largest last.
    queue: Vec<u16>,
    rounds: u8,
    /// Packets larger than the base size lost since the last one that arrived.
    large_lost: u32,
}

impl MtuSearch {
    /// A search that tries no more than `largest` bytes of UDP payload.
    #[must_use]
    pub fn new(largest: u16) -> Self {
        let queue = if largest > BASE_DATAGRAM { vec![largest] } else { Vec::new() };
        Self { current: BASE_DATAGRAM, largest, queue, rounds: 1, large_lost: 0 }
    }

    /// The largest datagram known to arrive.
    #[must_use]
    pub fn current(&self) -> u16 {
        self.current
    }

    /// The peer takes in no more than this.
    pub fn limit(&mut self, largest: u16) {
        if largest < self.largest {
            *self = Self::new(largest);
        }
    }

    /// The size of the next probe, if one should go.
    pub fn next_probe(&mut self) -> Option<u16> {
        self.queue.pop()
    }

    /// A datagram of that size arrived.
    pub fn on_probe_acked(&mut self, size: u16) {
        self.current = self.current.max(size);
        self.queue.retain(|candidate| *candidate > size);
    }

    /// A packet that is no probe arrived.
    pub fn on_acked(&mut self, size: u16) {
        if size > BASE_DATAGRAM {
            self.large_lost = 0;
        }
    }

    /// A packet that is no probe was lost. If only small ones arrive, the path has become narrower
    /// (RFC 8899 4.3): back to the base size, and search again.
    pub fn on_lost(&mut self, size: u16) {
        if size > BASE_DATAGRAM {
            self.large_lost += 1;
        }
        if self.large_lost >= BLACK_HOLE {
            self.begin_again();
        }
    }

    /// Back to the base size; the search begins with the next round.
    pub fn begin_again(&mut self) {
        *self = Self { rounds: 0, ..Self::new(self.largest) };
        self.queue.clear();
    }

    /// What has not been answered by now is lost or too large.
    pub fn on_round_over(&mut self) {
        if self.rounds >= MAX_PROBES || self.current == self.largest {
            return;
        }
        self.rounds += 1;
        let open = |size: &u16| *size > self.current && *size < self.largest;
        self.queue = CANDIDATES.into_iter().filter(open).chain([self.largest]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a search finds on a path that carries at most `path` bytes and loses the probes whose
    /// places are in `lost`; and how many probes it took.
    fn search(largest: u16, path: u16, lost: &[usize]) -> (u16, usize) {
        let mut mtu = MtuSearch::new(largest);
        let mut probes = 0;
        for _ in 0..5 {
            while let Some(size) = mtu.next_probe() {
                if size <= path && !lost.contains(&probes) {
                    mtu.on_probe_acked(size);
                }
                probes += 1;
            }
            mtu.on_round_over();
        }
        (mtu.current(), probes)
    }

    #[test]
    fn an_ordinary_path_takes_one_probe() {
        assert_eq!(search(1472, 1472, &[]), (1472, 1));
    }

    #[test]
    fn narrow_paths_are_found_in_the_second_round() {
        assert_eq!(search(1472, 1464, &[]).0, 1452);
        assert_eq!(search(1452, 1400, &[]).0, 1392);
        assert_eq!(search(1472, 1200, &[]), (BASE_DATAGRAM, 15));
        assert_eq!(search(BASE_DATAGRAM, 9000, &[]), (BASE_DATAGRAM, 0));
    }

    #[test]
    fn a_lost_probe_is_repeated() {
        assert_eq!(search(1472, 1472, &[0]).0, 1472);
        assert_eq!(search(1472, 1472, &[0, 1]).0, 1472);
    }

    #[test]
    fn a_path_that_became_narrower_is_noticed_and_searched_again() {
        let mut mtu = MtuSearch::new(1472);
        mtu.on_probe_acked(1472);
        for _ in 0..20 {
            (0..BLACK_HOLE - 1).for_each(|_| mtu.on_lost(1472));
            mtu.on_acked(1472);
        }
        assert_eq!(mtu.current(), 1472, "only lossy");
        (0..BLACK_HOLE).for_each(|_| mtu.on_lost(1472));
        assert_eq!((mtu.current(), mtu.next_probe()), (BASE_DATAGRAM, None));
        mtu.on_round_over();
        assert_eq!(mtu.next_probe(), Some(1472));
    }

    #[test]
    fn the_peers_limit_is_kept() {
        let mut mtu = MtuSearch::new(1472);
        mtu.limit(1300);
        assert_eq!(mtu.next_probe(), Some(1300));
    }
}
