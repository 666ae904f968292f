//! How many transfers a listener serves at once, whatever they go over: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Transfers at the same time.
pub const TRANSFERS_MAX: usize = 512;

/// Transfers from one address at the same time, so that no host takes all places.
pub const TRANSFERS_OF_ONE_MAX: usize = 256;

/// What those hear for whom there is no place.
const FULL: &str = "it serves 512 transfers already, and no more at once; send again later";
const FULL_FOR_ONE: &str =
    "it serves 256 transfers from your address already, and no more at once; send again later";

/// The places of a listener.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_host: HashMap<IpAddr, usize>,
}

/// A place that was taken; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    host: IpAddr,
}

impl Places {
    /// Why there is no place for a transfer from `peer`, if there is none.
    #[must_use]
    pub fn refusal(&self, peer: IpAddr) -> Option<&'static str> {
        let taken = self.0.lock().expect("nobody panics while holding it");
        let of_one = taken.by_host.get(&host_of(peer)).copied().unwrap_or(0);
        match () {
            () if taken.total >= TRANSFERS_MAX => Some(FULL),
            () if of_one >= TRANSFERS_OF_ONE_MAX => Some(FULL_FOR_ONE),
            () => None,
        }
    }

    /// Takes a place for a transfer from `peer`, who keeps it wherever he moves.
    #[must_use]
    pub fn take(&self, peer: IpAddr) -> Place {
        let host = host_of(peer);
        let mut taken = self.0.lock().expect("nobody panics while holding it");
        taken.total += 1;
        *taken.by_host.entry(host).or_default() += 1;
        Place { places: self.clone(), host }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().expect("nobody panics while holding it");
        taken.total -= 1;
        if let Some(of_one) = taken.by_host.get_mut(&self.host) {
            *of_one -= 1;
            if *of_one == 0 {
                taken.by_host.remove(&self.host);
            }
        }
    }
}

/// What counts as one address: over IPv6 a network, for a host there has 2^64 addresses to choose from.
fn host_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_host_takes_half_of_the_places_and_two_take_all() {
        let places = Places::default();
        let fill = |peer: &str| {
            let mut held = Vec::new();
            while places.refusal(ip(peer)).is_none() {
                held.push(places.take(ip(peer)));
            }
            held
        };
        let mut first = fill("192.0.2.1");
        assert_eq!(first.len(), TRANSFERS_OF_ONE_MAX);
        assert_eq!(places.refusal(ip("::ffff:192.0.2.1")), Some(FULL_FOR_ONE));
        let second = fill("2001:db8::1");
        assert_eq!(second.len(), TRANSFERS_MAX - TRANSFERS_OF_ONE_MAX);
        assert_eq!(places.refusal(ip("192.0.2.2")), Some(FULL));
        first.pop();
        assert_eq!(places.refusal(ip("192.0.2.2")), None);
        assert_eq!(places.refusal(ip("2001:db8::2")), Some(FULL_FOR_ONE), "the same network");
        assert_eq!(places.refusal(ip("2001:db8:0:1::1")), None, "another one");
        drop((first, second));
        let taken = places.0.lock().expect("free");
        assert!(taken.total == 0 && taken.by_host.is_empty());
    }

    #[test]
    fn the_sentences_say_the_true_numbers() {
        assert!(FULL.contains(&format!(" {TRANSFERS_MAX} ")));
        assert!(FULL_FOR_ONE.contains(&format!(" {TRANSFERS_OF_ONE_MAX} ")));
    }
}
