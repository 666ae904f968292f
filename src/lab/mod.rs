//! Floor 4: two hosts and a link of ours between them, for whatever program runs in them (Linux).
//!
//! Each host is a network namespace with the kernel's own TCP in it, so that kernel TCP meets real
//! loss, delay, rate and queue, packet by packet, and without root:
//!
//! ```text
//!   host A                        the lab in the middle                      host B
//!   eth0 198.18.0.1  --veth-->  a | packet socket - Line - packet socket | b  <--veth--  eth0 198.18.0.2
//! ```
//!
//! - [`entrance`] gets a process into namespaces of its own: the program runs itself again. A process
//!   namespace around everything leaves nothing behind, whoever is killed.
//! - [`netns`] makes a host's namespace and runs closures in it.
//! - [`devices`] asks the kernel for the devices and addresses ([`netlink`] is how).
//! - [`port`] takes frames from a device and gives frames to it; [`frame`] is what they hold.
//! - [`way`] is one direction: a thread that puts packets into a [`Line`](crate::link::line::Line) and
//!   sends what comes out. [`tap`] tells what became of each packet.
//!
//! [`memory`] is a place for files that costs no disk and leaves nothing.
//!
//! What is on the link is as it would be on a wire: packets that fit, with their checksums
//! ([`offload`]). Neighbours are not searched for (no ARP, no ND): the link counts the packets of
//! programs only, and `--drop 1` is the first of them.

pub mod devices;
pub mod entrance;
pub mod frame;
pub mod memory;
pub mod netlink;
pub mod netns;
pub mod obstacle;
pub mod offload;
pub mod port;
pub mod tap;
pub mod way;

use crate::base::time::{Duration, Instant};
use crate::link::{Direction, LinkConfig, LinkCounts};
use crate::os::clock::Clock;
use devices::Addresses;
use netns::NetNs;
pub use obstacle::LabError;
use port::Port;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use tap::{Tap, Watch};
use way::Way;

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// From which the link goes out.
    A,
    /// From which it goes back.
    B,
}

impl Host {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];
}

/// What the link of a lab does.
#[derive(Clone, Debug, Default)]
pub struct LabLink {
    /// From A to B.
    pub out: LinkConfig,
    /// From B to A.
    pub back: LinkConfig,
    /// What both draw from.
    pub seed: u64,
}

impl LabLink {
    /// The largest packet that either way carries, which is what both devices are told. Without a
    /// limit it is that of Ethernet.
    fn mtu(&self) -> u16 {
        self.out.mtu_or_usual().max(self.back.mtu_or_usual())
    }
}

/// What happened in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WayCounts {
    /// In the link.
    pub link: LinkCounts,
    /// Packets that have come out of it.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Packets that came faster than the lab could take them: lost, and not by the link.
    pub missed: u64,
    /// Packets that came out of the link and that the other host did not take.
    pub unsent: u64,
}

/// What has happened since the link was made, or made anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabCounts {
    /// For how long.
    pub elapsed: Duration,
    /// From A to B.
    pub out: WayCounts,
    /// From B to A.
    pub back: WayCounts,
}

/// Two hosts and their link, at work until dropped. Only a process that is [inside](entrance) has the
/// means to open one.
#[derive(Debug)]
pub struct Lab {
    hosts: [NetNs; 2],
    addresses: [Addresses; 2],
    ways: [Arc<Way>; 2],
    threads: Vec<JoinHandle<()>>,
    clock: Clock,
    since: Instant,
}

impl Lab {
    /// Makes both hosts, and the link between them.
    ///
    /// # Errors
    /// The system does not allow it; the error says which part, and what to do.
    pub fn open(link: &LabLink) -> Result<Self, LabError> {
        // The middle is a namespace, too: several labs know nothing of each other.
        let middle = NetNs::new()?;
        middle.within(|| Self::between(&middle, link))?
    }

    fn between(middle: &NetNs, link: &LabLink) -> Result<Self, LabError> {
        let hosts = [NetNs::new()?, NetNs::new()?];
        let addresses = devices::connect(middle, &hosts, link.mtu())?;
        let clock = Clock::start();
        let [a, b] = [Arc::new(Port::open("a")?), Arc::new(Port::open("b")?)];
        devices::raise(&hosts)?;
        let out = Arc::new(Way::new(&link.out, link.seed, Direction::Out));
        let back = Arc::new(Way::new(&link.back, link.seed, Direction::Back));
        let ways = [out.clone(), back.clone()];
        // It is there before its threads: if the second one cannot start, the first one is ended.
        let mut lab =
            Self { hosts, addresses, ways, threads: Vec::new(), clock, since: clock.now() };
        lab.threads.push(way::carry(&out, &a, &b, clock)?);
        lab.threads.push(way::carry(&back, &b, &a, clock)?);
        Ok(lab)
    }

    /// Replaces the link by another one, with nothing in it and nothing counted. The hosts stay.
    ///
    /// # Errors
    /// The devices do not take the MTU.
    pub fn reset(&mut self, link: &LabLink) -> Result<(), LabError> {
        devices::set_mtu(&self.hosts, link.mtu())?;
        let [out, back] = &self.ways;
        out.reset(&link.out, link.seed);
        back.reset(&link.back, link.seed);
        self.since = self.clock.now();
        Ok(())
    }

    /// What happens in `host` happens in its namespace: sockets made there, and programs started
    /// there, stay there.
    ///
    /// # Errors
    /// The system does not let the thread in.
    pub fn within<T: Send>(
        &self,
        host: Host,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, LabError> {
        self.hosts[host as usize].within(work)
    }

    /// A command that will run `program` in `host`, whoever starts it in whichever thread.
    #[must_use]
    pub fn command(&self, host: Host, program: &str) -> Command {
        let [exe, role, place] = self.words(host);
        let mut command = Command::new(exe);
        command.args([&role, &place]).arg(program);
        command
    }

    /// What to put in front of a command line so that it runs in `host`.
    #[must_use]
    pub fn prefix(&self, host: Host) -> String {
        self.words(host).join(" ")
    }

    fn words(&self, host: Host) -> [String; 3] {
        let place = self.hosts[host as usize].path();
        [entrance::own_program(), entrance::HOST.into(), place]
    }

    /// The addresses of `host`.
    #[must_use]
    pub fn addresses(&self, host: Host) -> Addresses {
        self.addresses[host as usize]
    }

    /// What has happened since the link was made.
    #[must_use]
    pub fn counts(&self) -> LabCounts {
        let [out, back] = [&self.ways[0], &self.ways[1]].map(|way| way.counts());
        LabCounts { elapsed: self.clock.now().since(self.since), out, back }
    }

    /// Processor time that the lab has used to carry packets.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        self.ways.iter().map(|way| way.processor_time()).sum()
    }

    /// Tells of each packet from now on, until the watch is dropped. Holds up to `capacity` that
    /// nobody has asked for; more are only counted.
    #[must_use]
    pub fn watch(&self, capacity: usize) -> Watch {
        let (tap, watch) = Tap::new(capacity);
        for way in &self.ways {
            way.watch(tap.clone());
        }
        watch
    }

    /// The moment now, on the clock that packets are told by.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for way in &self.ways {
            way.end();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
