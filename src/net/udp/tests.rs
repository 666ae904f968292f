//! Transfers over a socket whose calls fail.

use super::*;
use crate::net::dial::{Order as Going, dial};
use crate::net::listen::{Listener, Order};
use crate::net::part::{Errand, Reception, Service};
use crate::net::{Interrupt, Observer};
use crate::os::wait::Waiter;
use crate::transfer::budget::Budget;
use crate::transfer::directory::Directory;
use crate::transfer::keeping::Keeping;
use crate::transfer::walk::Selection;
use crate::transport::arq::ArqConfig;
use crate::transport::config::CongestionChoice;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use rustix::io::Errno;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What Linux, a packet filter, a driver and ICMP answer to sendmsg.
const SENDING: [Errno; 9] = [
    Errno::NOBUFS,
    Errno::AGAIN,
    Errno::PERM,
    Errno::IO,
    Errno::INVAL,
    Errno::MSGSIZE,
    Errno::NETUNREACH,
    Errno::CONNREFUSED,
    Errno::HOSTUNREACH,
];

/// And to recvmsg.
const RECEIVING: [Errno; 4] =
    [Errno::CONNREFUSED, Errno::CONNRESET, Errno::HOSTUNREACH, Errno::INTR];

/// Lets one in ten calls fail.
pub(in crate::net) struct Trouble {
    draws: Mutex<Xoshiro256PlusPlus>,
    count: Arc<AtomicU64>,
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trouble").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Udp {
    pub(super) fn ask(&self, call: Call) -> io::Result<()> {
        let Some(trouble) = &self.trouble else { return Ok(()) };
        let mut draws = trouble.draws.lock().expect("nobody panics while holding it");
        if draws.next_u32() % 10 != 0 {
            return Ok(());
        }
        trouble.count.fetch_add(1, Ordering::Relaxed);
        let errors = if call == Call::Send { &SENDING[..] } else { &RECEIVING };
        Err(errors[draws.next_u32() as usize % errors.len()].into())
    }

    /// From now on one call in ten fails, as `seed` draws; says how many did.
    pub(in crate::net) fn trouble(&mut self, seed: u64) -> Arc<AtomicU64> {
        let draws = Mutex::new(Xoshiro256PlusPlus::seed_from_u64(seed));
        let count = Arc::new(AtomicU64::new(0));
        self.trouble = Some(Trouble { draws, count: count.clone() });
        count
    }
}

fn reception(directory: &FilePath) -> Reception {
    Reception {
        directory: Arc::new(Directory::open(directory).expect("writable")),
        keeping: Keeping::default(),
        takes_hidden: false,
        budget: Budget::default(),
    }
}

/// Serves, over a socket that fails, one who comes for or with a file of `size` bytes; says how many calls
/// failed.
fn carry(size: usize, listener_sends: bool, seed: u64) -> u64 {
    let (from, to) = (tempfile::tempdir().expect("room"), tempfile::tempdir().expect("room"));
    let file = from.path().join("file");
    let mut contents = vec![0; size];
    Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut contents);
    std::fs::write(&file, &contents).expect("room");
    let selection = Arc::new(Selection { paths: vec![file], ..Selection::default() });
    let congestion = CongestionChoice::Fixed("40Mbit".parse().expect("a rate"));
    let (service, errand) = if listener_sends {
        (Service::Share { selection, congestion }, Errand::Get(reception(to.path())))
    } else {
        (Service::Receive(reception(to.path())), Errand::Send(selection))
    };
    let mut listener = Listener::bind(Some(Ipv4Addr::LOCALHOST.into()), 0).expect("loopback");
    let failed = listener.udp().trouble(seed);
    let address = listener.address();
    let order = Order { service, once: true, max_rate: None, impairment: None, traces: false };
    let quiet: Observer = Arc::new(|_| {});
    let observer = quiet.clone();
    let serving =
        std::thread::spawn(move || listener.run(&order, &observer, &Interrupt::default()));
    let going = Going {
        errand,
        addresses: vec![address],
        bind: None,
        congestion,
        known_paths: HashMap::new(),
        max_rate: None,
        arq: ArqConfig::default(),
        impairment: None,
        traces: false,
    };
    let finished = dial(&going, &quiet, &Interrupt::default()).expect("it begins");
    assert_eq!(finished.report.verdict(), None, "seed {seed}: {:?}", finished.report);
    assert_eq!(serving.join().expect("no panic"), Ok(None), "the listener's socket lives");
    assert_eq!(std::fs::read(to.path().join("file")).expect("there"), contents, "seed {seed}");
    failed.load(Ordering::Relaxed)
}

/// The next datagrams, and what their IP packets say of congestion.
#[track_caller]
pub(in crate::net) fn receive(udp: &Udp) -> Vec<(Path, Ecn)> {
    let mut received = Vec::new();
    while received.is_empty() {
        let waiter = Waiter::new().expect("a system at work");
        waiter.wait_readable(&[udp.socket().as_fd()], Duration::from_secs(60)).expect("woken");
        let each = |path, ecn, _: Option<Duration>, _: &[u8]| received.push((path, ecn));
        ReceiveBuffers::default().receive(udp, each).expect("the socket works");
    }
    received
}

#[cfg(target_os = "linux")]
#[test]
fn marks_go_out_and_come_in_alone_and_in_trains() {
    for (ours, theirs) in
        [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")]
    {
        // A machine without IPv6 has nothing to show here.
        let [Ok(one), Ok(other)] =
            [ours, theirs].map(|address| Udp::bind(address.parse().expect("an address")))
        else {
            continue;
        };
        let path = Path { peer: other.local_addr().expect("bound"), local: None };
        for ecn in [Ecn::Ect0, Ecn::NotEct, Ecn::Ce, Ecn::Ect1] {
            one.send(path, ecn, b"alone");
            assert_eq!(receive(&other)[0].1, ecn, "{ours}");
            if one.state.max_gso_segments() > 1 {
                one.try_send(path, ecn, &[7; 400], 100).expect("it segments");
                let mut count = 0;
                while count < 4 {
                    let train = receive(&other);
                    assert!(train.iter().all(|(_, seen)| *seen == ecn), "{ours}: {train:?}");
                    count += train.len();
                }
            }
        }
    }
}

#[test]
fn whatever_the_system_answers_to_one_call_in_ten_the_bytes_arrive() {
    let failed: u64 = [true, false].map(|sends| carry(4_000_000, sends, 1)).iter().sum();
    assert!(failed > 100, "{failed}");
}

#[test]
#[ignore = "a campaign"]
fn ten_thousand_errors_of_the_system_cost_no_byte() {
    let mut failed = 0;
    for seed in 0.. {
        failed += carry(50_000_000, seed % 2 == 0, seed);
        if failed >= 10_000 {
            break;
        }
    }
}
