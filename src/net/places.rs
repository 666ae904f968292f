//! The places of a listener, whatever transfers go over, and who gives one up where they are short.
//!
//! A host holds no more places than are left for others: the first one half of them, two a third each if
//! they come at the same time, and so on, as with memory for disks (`transfer/budget/memory.rs`). A place is worth
//! what is done with it: whoever comes where there is none gets that of a transfer that does not move, of the
//! host that holds most.

use crate::base::time::{Duration, Instant};
use crate::os::clock::Clock;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Transfers at the same time, at most.
pub const TRANSFERS_MAX: usize = 512;

/// Files that a listener has open without any transfer, and those that a transfer has, for the number of
/// places where few may be open: standard streams, sockets, what wakes threads, the directory; and of a transfer its
/// stream, its file and the directories that it goes through.
const FILES_OF_LISTENER: usize = 20;
const FILES_OF_TRANSFER: usize = 4;

/// Transfers that gave up their places and have yet to leave, at most: until they do, they cost as much as
/// others.
pub const LEAVING_MAX: usize = 64;

/// A transfer that did not move for this long may lose its place to a host that has no fewer.
const REST: Duration = Duration::from_secs(5);

/// Who finds no place now, and may find one soon, is asked to wait for this long at most.
const WAIT_MAX: Duration = Duration::from_secs(6);

/// Hosts that wait for places, remembered at most.
const WAITING_MAX: usize = 256;

/// What one hears who loses his place.
pub const GIVEN_AWAY: &str = "it had no place left, and gave that of this transfer, which did not move, to another one; try \
     again later";

/// The places of a listener.
#[derive(Clone, Debug)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    table: Mutex<Table>,
}

/// Who sits where.
#[derive(Debug)]
struct Table {
    capacity: usize,
    seats: BTreeMap<u64, Seat>,
    by_host: HashMap<IpAddr, usize>,
    next: u64,
    leaving: usize,
    /// Since when those who found no place want one.
    waiting: HashMap<IpAddr, Instant>,
}

/// What is known of one transfer; both its owner and the table of places see it.
#[derive(Clone, Debug)]
pub struct Seat(Arc<Sitting>);

#[derive(Debug)]
struct Sitting {
    host: IpAddr,
    /// When it moved last, or began; in nanoseconds of the table's clock.
    moved_at: AtomicU64,
    /// It has moved.
    has_moved: AtomicBool,
    is_given_away: AtomicBool,
    clock: Clock,
}

/// A place that was taken; given back when dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    id: u64,
    seat: Seat,
}

/// What becomes of one who wants a place.
#[derive(Debug)]
pub enum Admission {
    /// He has one.
    Place(Place),
    /// There may be one soon; ask again.
    Later,
    /// There is none: a sentence for him.
    Full(String),
}

impl Default for Places {
    fn default() -> Self {
        Self::new(TRANSFERS_MAX)
    }
}

impl Places {
    /// So many places, of which there is at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let table = Table {
            capacity: capacity.clamp(1, TRANSFERS_MAX),
            seats: BTreeMap::new(),
            by_host: HashMap::new(),
            next: 0,
            leaving: 0,
            waiting: HashMap::new(),
        };
        Self(Arc::new(Shared { clock: Clock::start(), table: Mutex::new(table) }))
    }

    /// As many places as a process that may have so many files open at once has use for.
    #[must_use]
    pub fn with_files(open_files: usize) -> Self {
        Self::new(open_files.saturating_sub(FILES_OF_LISTENER) / FILES_OF_TRANSFER)
    }

    /// Takes a place for a transfer from `peer`, who keeps it wherever he moves.
    #[must_use]
    pub fn admit(&self, peer: IpAddr) -> Admission {
        let (host, now) = (host_of(peer), self.0.clock.now());
        let mut table = self.table();
        match table.admit(host, now) {
            Verdict::Yes => {
                let seat = Seat::new(host, now, self.0.clock);
                let id = table.sit(&seat);
                Admission::Place(Place { places: self.clone(), id, seat })
            }
            Verdict::Later => Admission::Later,
            Verdict::No(text) => Admission::Full(text),
        }
    }

    /// Whether one who comes from `peer` finds a place without anybody giving up his.
    #[must_use]
    pub fn has_room(&self, peer: IpAddr) -> bool {
        self.table().has_room(host_of(peer))
    }

    /// Places taken by transfers from `peer`: those of whom there are fewest come first.
    #[must_use]
    pub fn taken_by(&self, peer: IpAddr) -> usize {
        self.table().count(host_of(peer))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new(host: IpAddr, now: Instant, clock: Clock) -> Self {
        Self(Arc::new(Sitting {
            host,
            moved_at: AtomicU64::new(now.as_nanos()),
            has_moved: AtomicBool::new(false),
            is_given_away: AtomicBool::new(false),
            clock,
        }))
    }

    /// The transfer has moved.
    pub fn note_progress(&self) {
        self.0.moved_at.store(self.0.clock.now().as_nanos(), Ordering::Relaxed);
        self.0.has_moved.store(true, Ordering::Relaxed);
    }

    /// Whether the place is another one's now, and the transfer has to end.
    #[must_use]
    pub fn is_given_away(&self) -> bool {
        self.0.is_given_away.load(Ordering::Relaxed)
    }

    /// For how long it has not moved.
    fn rest(&self, now: Instant) -> Duration {
        now.since(Instant::from_nanos(self.0.moved_at.load(Ordering::Relaxed)))
    }

    fn has_moved(&self) -> bool {
        self.0.has_moved.load(Ordering::Relaxed)
    }
}

impl Place {
    /// What the transfer says of itself, and hears.
    #[must_use]
    pub fn seat(&self) -> &Seat {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.table().leave(self.id);
    }
}

#[derive(Debug)]
enum Verdict {
    Yes,
    Later,
    No(String),
}

impl Table {
    /// Whether a transfer of `host` may sit down; somebody else may have to get up for it.
    fn admit(&mut self, host: IpAddr, now: Instant) -> Verdict {
        let is_free = self.has_room(host) || {
            let victim = self.victim(host, now).filter(|_| self.leaving < LEAVING_MAX);
            victim.inspect(|id| self.give_away(*id)).is_some()
        };
        if is_free {
            self.waiting.remove(&host);
            return Verdict::Yes;
        }
        if self.may_wait(host, now) { Verdict::Later } else { Verdict::No(self.refusal(host)) }
    }

    fn has_room(&self, host: IpAddr) -> bool {
        let left = self.capacity.saturating_sub(self.seats.len());
        left > 0 && self.count(host) < left
    }

    /// Who gets up for one of `host`: of the host that holds most, the one that has rested longest. It need not
    /// have rested at all where that host has many more, and it has done nothing yet.
    fn victim(&self, host: IpAddr, now: Instant) -> Option<u64> {
        let own = self.count(host);
        let is_full = self.seats.len() >= self.capacity;
        let may_go = |seat: &&Seat| {
            let (theirs, rest) = (self.count(seat.0.host), seat.rest(now));
            let is_own = seat.0.host == host;
            match () {
                // Where it is its own bound that keeps a host out, others have nothing to do with it.
                () if !is_full && !is_own => false,
                () if theirs > own + 1 && !seat.has_moved() => true,
                () => (is_own || theirs >= own) && rest >= REST,
            }
        };
        let candidates = self.seats.iter().filter(|(_, seat)| may_go(seat));
        candidates
            .max_by_key(|(_, seat)| (self.count(seat.0.host), seat.rest(now)))
            .map(|(id, _)| *id)
    }

    fn give_away(&mut self, id: u64) {
        if let Some(seat) = self.remove(id) {
            seat.0.is_given_away.store(true, Ordering::Relaxed);
            self.leaving += 1;
        }
    }

    /// Who has waited for long, or cannot be remembered, is told that there is no place.
    fn may_wait(&mut self, host: IpAddr, now: Instant) -> bool {
        // One who gave up, and comes again much later, waits anew.
        self.waiting.retain(|_, since| now.since(*since) < 2 * WAIT_MAX);
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&host) {
            return false;
        }
        now.since(*self.waiting.entry(host).or_insert(now)) < WAIT_MAX
    }

    fn refusal(&self, host: IpAddr) -> String {
        let (total, own) = (self.seats.len(), self.count(host));
        if own > 0 && total < self.capacity {
            format!(
                "it serves {own} transfers from your address already, and keeps its other places for \
                 others; try again later"
            )
        } else {
            format!("it serves {total} transfers already, and no more at once; try again later")
        }
    }

    fn count(&self, host: IpAddr) -> usize {
        self.by_host.get(&host).copied().unwrap_or(0)
    }

    fn sit(&mut self, seat: &Seat) -> u64 {
        let id = self.next;
        self.next += 1;
        *self.by_host.entry(seat.0.host).or_default() += 1;
        self.seats.insert(id, seat.clone());
        id
    }

    fn leave(&mut self, id: u64) {
        if self.remove(id).is_none() {
            self.leaving -= 1;
        }
    }

    fn remove(&mut self, id: u64) -> Option<Seat> {
        let seat = self.seats.remove(&id)?;
        if let Some(count) = self.by_host.get_mut(&seat.0.host) {
            *count -= 1;
            if *count == 0 {
                self.by_host.remove(&seat.0.host);
            }
        }
        Some(seat)
    }
}

/// What counts as one address: over IPv6 a network, for a host there has 2^64 addresses to choose from.
pub(super) fn host_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        host_of(text.parse().expect("an address"))
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    /// A table in virtual time.
    struct Hall {
        table: Table,
        clock: Clock,
    }

    impl Hall {
        fn new(capacity: usize) -> Self {
            let places = Places::new(capacity);
            let clock = places.0.clock;
            let shared = Arc::into_inner(places.0).expect("nobody else has it");
            Self { table: shared.table.into_inner().expect("free"), clock }
        }

        /// Where one sits down who comes; what else he hears.
        fn come(&mut self, host: &str, now: Instant) -> Result<(u64, Seat), Verdict> {
            match self.table.admit(ip(host), now) {
                Verdict::Yes => {
                    let seat = Seat::new(ip(host), now, self.clock);
                    Ok((self.table.sit(&seat), seat))
                }
                other => Err(other),
            }
        }

        /// As many as find a place without anybody getting up.
        fn fill(&mut self, host: &str, now: Instant) -> Vec<Seat> {
            let mut seats = Vec::new();
            while self.table.has_room(ip(host)) {
                seats.extend(self.come(host, now).map(|(_, seat)| seat).ok());
            }
            seats
        }
    }

    /// It moved then.
    fn move_at(seat: &Seat, now: Instant) {
        seat.0.moved_at.store(now.as_nanos(), Ordering::Relaxed);
        seat.0.has_moved.store(true, Ordering::Relaxed);
    }

    fn sentence(refused: Result<(u64, Seat), Verdict>) -> String {
        match refused {
            Err(Verdict::No(text)) => text,
            Err(Verdict::Later) => "later".into(),
            Err(Verdict::Yes) | Ok(_) => panic!("a place"),
        }
    }

    #[test]
    fn a_host_holds_no_more_than_is_left_for_others() {
        let mut hall = Hall::new(TRANSFERS_MAX);
        let held =
            ["192.0.2.1", "2001:db8::1", "192.0.2.3"].map(|host| hall.fill(host, at(0)).len());
        assert_eq!(held, [256, 128, 64]);
        assert!(!hall.table.has_room(ip("::ffff:192.0.2.1")), "the same host");
        assert!(!hall.table.has_room(ip("2001:db8::2")), "the same network");
        assert!(hall.table.has_room(ip("2001:db8:0:1::1")), "another one");
    }

    #[test]
    fn whoever_moves_keeps_his_place_and_the_others_give_theirs_to_whoever_has_fewer() {
        let mut hall = Hall::new(8);
        let mut seats = hall.fill("192.0.2.1", at(0));
        assert_eq!(seats.len(), 4);
        seats.extend(hall.fill("192.0.2.2", at(0)));
        seats.iter().for_each(|seat| move_at(seat, at(1)));
        for host in ["192.0.2.3", "192.0.2.4"] {
            seats.extend(hall.fill(host, at(0)));
        }
        assert_eq!(hall.table.seats.len(), 8);
        // At first nobody of those who moved has rested, and the others have no more than he would.
        assert_eq!(sentence(hall.come("192.0.2.9", at(1))), "later");
        let (id, newcomer) = hall.come("192.0.2.9", at(7)).expect("the greediest rests");
        assert_eq!(seats.iter().filter(|seat| seat.is_given_away()).count(), 1);
        assert!(seats[..4].iter().any(Seat::is_given_away));
        assert!(!newcomer.is_given_away());
        assert_eq!((hall.table.seats.len(), hall.table.leaving), (8, 1));
        hall.table.leave(id);
        assert_eq!((hall.table.seats.len(), hall.table.leaving), (7, 1));
    }

    #[test]
    fn silent_ones_of_a_greedy_host_make_room_at_once() {
        let mut hall = Hall::new(512);
        // However they got there: two hosts that have all.
        hall.table.capacity = 1024;
        let mut silent = Vec::new();
        for host in ["192.0.2.1", "192.0.2.2"] {
            silent.extend((0..256).filter_map(|_| hall.come(host, at(0)).ok()));
        }
        hall.table.capacity = 512;
        assert_eq!(hall.table.seats.len(), 512);
        for n in 0..LEAVING_MAX {
            let (_, seat) = hall.come("192.0.2.9", at(0)).expect("a place at once");
            move_at(&seat, at(0));
            assert_eq!(silent.iter().filter(|(_, seat)| seat.is_given_away()).count(), n + 1);
        }
        assert_eq!(sentence(hall.come("192.0.2.9", at(0))), "later", "until they have left");
        let (gone, _) = silent.iter().find(|(_, seat)| seat.is_given_away()).expect("some");
        hall.table.leave(*gone);
        assert!(hall.come("192.0.2.9", at(0)).is_ok());
    }

    #[test]
    fn where_all_move_one_hears_after_a_while_why_there_is_no_place() {
        let mut hall = Hall::new(4);
        let mut seats = Vec::new();
        for host in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            seats.extend(hall.fill(host, at(0)));
        }
        for second in 0..20 {
            seats.iter().for_each(|seat| move_at(seat, at(second)));
            for (host, says) in [("192.0.2.9", "4 transfers already"), ("192.0.2.1", "4 transfers")]
            {
                let said = sentence(hall.come(host, at(second)));
                // Who asked in vain for long and comes again much later waits again.
                if (6..12).contains(&second) {
                    assert!(said.contains(says), "{second} {said}");
                } else if second < 6 {
                    assert_eq!(said, "later");
                }
            }
        }
        assert!(seats.iter().all(|seat| !seat.is_given_away()));
        let mut hall = Hall::new(4);
        let seats = hall.fill("192.0.2.1", at(0));
        for second in 0..7 {
            seats.iter().for_each(|seat| move_at(seat, at(second)));
            let said = sentence(hall.come("192.0.2.1", at(second)));
            assert!(said == "later" || said.contains("2 transfers from your address"), "{said}");
        }
    }

    #[test]
    fn few_files_are_few_places() {
        let capacity = |files| Places::with_files(files).table().capacity;
        assert_eq!([3, 24, 64, 1_024, 4_096, usize::MAX].map(capacity), [1, 1, 11, 251, 512, 512]);
    }

    #[test]
    fn places_are_given_back() {
        let places = Places::new(2);
        let peer = ip("192.0.2.1");
        let Admission::Place(place) = places.admit(peer) else { panic!("it is empty") };
        assert_eq!((places.taken_by(peer), places.has_room(peer)), (1, false));
        drop(place);
        assert_eq!((places.taken_by(peer), places.has_room(peer)), (0, true));
        let table = places.table();
        assert!(table.seats.is_empty() && table.by_host.is_empty() && table.leaving == 0);
    }

    #[test]
    fn those_who_wait_are_remembered_up_to_a_bound() {
        let mut hall = Hall::new(1);
        let seats = hall.fill("192.0.2.1", at(0));
        move_at(&seats[0], at(0));
        for n in 0..2 * WAITING_MAX {
            let host = format!("198.51.{}.{}", n / 256, n % 256);
            assert_eq!(sentence(hall.come(&host, at(0))) == "later", n < WAITING_MAX);
        }
        assert_eq!(hall.table.waiting.len(), WAITING_MAX);
    }
}
