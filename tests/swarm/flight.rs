//! One transfer of the swarm, from the first HELLO to the end of both connections, and what must hold
//! all the way:
//!
//! - Every byte of the files and of both control streams is the one that was sent, in its place; all
//!   arrive, and none beyond the end.
//! - No connection ends before it is closed, and after that both sides end within [`PARTING_MAX`].
//! - After the healing all is there within [`HEALED_MAX`] and three times what a transfer of the whole
//!   takes by estimate ([`Scenario::estimate`]), and something new arrives at least every [`LULL_MAX`].
//! - What a connection holds keeps to its bounds ([`Flight::look`]), and what is in flight to the window.
//! - DATA packets sent, but for those sent while nobody read, are at most twice what the link and the
//!   strategy require, and a bit ([`Flight::judge`]).

use crate::scenario::Scenario;
use std::time::Duration;
use volley::base::time::Instant;
use volley::sim::{Sight, World};
use volley::transport::Connection;
use volley::transport::arq::Strategy;
use volley::transport::config::{ACK_WINDOW, CONTROL_WINDOW, PTO_MAX, RECEIVED_RANGES_MAX};
use volley::transport::connection::Held;
use volley::transport::stats::Stats;

/// Probes that go at one timeout, at most.
const PROBES_MAX: u64 = 16;

/// Steps at one moment of virtual time: more means that time stands still.
const STEPS_MAX: u32 = 100_000;

/// The control stream is read, and everything is looked at, this often.
const SLICE: Duration = Duration::from_millis(100);

/// A handshake is given up after ten seconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// After the healing an initiator that only receives, and is seen at another port, says something within
/// 5 s, and is challenged; a classic sender whose frame came from a new port before that was found sends
/// it again 3 s later; the rest is for what is lost.
const HEALED_MAX: Duration = Duration::from_secs(15);

/// Probes into silence go every [`PTO_MAX`]. At 1 % loss both ways four in a row are lost once in six
/// million times.
const LULL_MAX: Duration = Duration::from_secs(4 * PTO_MAX.as_secs() + 1);

/// The idle timeout, should all copies of CLOSE be lost, and a bit.
const PARTING_MAX: Duration = Duration::from_secs(31);

/// Lost packets that loss detection remembers.
const LOST_REMEMBERED_MAX: usize = 1 << 14;

/// DATA packets that each flow may send in vain whatever its size: probes, mostly.
const IN_VAIN: f64 = 100.0;

/// What a flight came to.
#[derive(Debug, Default)]
pub(crate) struct Landed {
    /// From the healing to the last byte.
    pub(crate) took: Duration,
    /// The longest time after the healing in which nothing new arrived.
    pub(crate) lull: Duration,
    /// DATA packets sent while the receivers took some.
    pub(crate) packets: u64,
    /// Those that brought something new.
    pub(crate) fresh: u64,
    /// What the link did to datagrams out and back, all its turns together.
    pub(crate) suffered: [Suffered; 2],
}

/// Datagrams of one way.
#[derive(Debug, Default)]
pub(crate) struct Suffered {
    pub(crate) offered: u64,
    /// Lost or damaged, or in vain because an initiator had another port by then.
    pub(crate) spoilt: u64,
    /// Held back.
    pub(crate) overtaken: u64,
}

impl Suffered {
    fn share(&self, count: u64) -> f64 {
        count as f64 / self.offered.max(1) as f64
    }
}

/// A transfer under way.
struct Flight<'a> {
    scenario: &'a Scenario,
    world: World,
    /// What each side of each flow has heard on the control stream.
    heard: Vec<[Vec<u8>; 2]>,
    has_spoken: Vec<[bool; 2]>,
    /// The largest congestion window of each side of each flow so far.
    windows: Vec<[u64; 2]>,
    /// Whether the receivers take file bytes, and DATA packets sent before that began.
    reads: bool,
    counted: u64,
    landed: Landed,
}

/// Flies one scenario; or says what did not hold.
pub(crate) fn fly(scenario: &Scenario) -> Result<Landed, String> {
    let world = World::opened_by(&scenario.order, scenario.initiator);
    let flows = scenario.order.flows;
    let mut flight = Flight {
        scenario,
        world,
        heard: vec![Default::default(); flows],
        has_spoken: vec![[false; 2]; flows],
        windows: vec![[0; 2]; flows],
        reads: true,
        counted: 0,
        landed: Landed::default(),
    };
    flight.connect()?;
    flight.suffer()?;
    flight.recover()?;
    flight.judge()?;
    flight.part()?;
    Ok(flight.landed)
}

impl Flight<'_> {
    fn connect(&mut self) -> Result<(), String> {
        while !self.is_connected() {
            if self.world.now() > Instant::ZERO + HANDSHAKE_MAX {
                return Err("no handshake".into());
            }
            self.run(Duration::from_millis(5))?;
        }
        Ok(())
    }

    fn is_connected(&mut self) -> bool {
        let is_there = |one: &mut Connection| one.is_established() && one.is_validated();
        (0..self.scenario.order.flows).all(|flow| {
            let sides = self.world.connections(flow);
            sides.into_iter().all(|side| side.is_some_and(is_there))
        })
    }

    fn suffer(&mut self) -> Result<(), String> {
        let begun = self.world.now();
        let mut rebindings = self.scenario.rebindings.iter().peekable();
        for (index, turn) in self.scenario.turns.iter().enumerate() {
            while let Some((at, is_elsewhere)) = rebindings.next_if(|(at, _)| *at <= turn.at) {
                self.run_until(begun + *at)?;
                self.world.rebind(*is_elsewhere);
            }
            self.run_until(begun + turn.at)?;
            self.count_link();
            if turn.reads != self.reads {
                self.count_packets();
                self.reads = turn.reads;
            }
            let luck = self.scenario.seed.wrapping_mul(1000).wrapping_add(index as u64);
            self.world.change_link(&turn.out, &turn.back, luck);
            self.world.set_reading(turn.reads);
        }
        Ok(())
    }

    fn recover(&mut self) -> Result<(), String> {
        let healed = self.world.now();
        let most = HEALED_MAX + self.scenario.estimate() * 3;
        let (mut known, mut known_at) = (self.progress(), healed);
        while !self.is_done() {
            self.run(SLICE)?;
            let (now, progress) = (self.world.now(), self.progress());
            let lull = now.since(known_at);
            self.landed.lull = self.landed.lull.max(lull);
            if progress > known {
                (known, known_at) = (progress, now);
            }
            if lull > LULL_MAX {
                return Err(format!("nothing new for {lull:?} after the healing"));
            }
            if now.since(healed) > most {
                return Err(format!("not finished {most:?} after the healing"));
            }
        }
        self.landed.took = self.world.now().since(healed);
        self.count_link();
        for (suffered, strays) in self.landed.suffered.iter_mut().zip(self.world.strays()) {
            suffered.spoilt += strays;
        }
        self.count_packets();
        self.landed.fresh = self.world.sights().map(|sight| sight.fresh_packets).sum();
        Ok(())
    }

    /// Whether no more was sent than is needed. With a share p of datagrams spoilt on the way
    /// out and q on the way back, n packets need n and those that were lost; of a strategy whose timers
    /// go by acknowledgements, n/(1-p)(1-q); of go-back-N, which takes what was overtaken for lost and
    /// has cumulative acknowledgements, n(1-p+Wp)/(1-p). Twice that, because paths that become longer
    /// or hold packets back are learnt only by sending again in vain; a window more for each turn in
    /// which all timers may fire too early.
    fn judge(&self) -> Result<(), String> {
        let Landed { packets, fresh, suffered: [out, back], .. } = &self.landed;
        let order = &self.scenario.order;
        let (p, q) = (out.share(out.spoilt), back.share(back.spoilt));
        let window = f64::from(order.arq.window);
        let needed = *fresh as f64;
        let (needed, timers) = match order.arq.strategy {
            Strategy::Volley => (needed + out.spoilt as f64, 0.0),
            Strategy::StopAndWait => (needed / ((1.0 - p) * (1.0 - q)), 1.0),
            Strategy::SelectiveRepeat => (needed / ((1.0 - p) * (1.0 - q)), window),
            Strategy::GoBackN => {
                let p = (p + out.share(out.overtaken)).min(0.99);
                (needed * (1.0 - p + window * p) / (1.0 - p), window)
            }
        };
        let turns = self.scenario.turns.len() as f64;
        let most = 2.0 * needed + order.flows as f64 * (IN_VAIN + turns * timers);
        if *packets as f64 > most {
            let what = format!("{packets} DATA packets, {needed:.0} needed, {most:.0} allowed");
            return Err(format!("{what}; {:?}", self.landed));
        }
        Ok(())
    }

    /// Closes from the senders' side, and waits for the end of all.
    fn part(&mut self) -> Result<(), String> {
        for flow in 0..self.scenario.order.flows {
            let [sender, _] = self.world.connections(flow);
            sender.expect("connected").close(0, "");
        }
        let closed = self.world.now();
        let is_over = |sight: Sight| sight.ends.iter().all(Option::is_some);
        while !self.world.sights().all(is_over) {
            if self.world.now().since(closed) > PARTING_MAX {
                return Err("a connection does not end".into());
            }
            self.advance(SLICE)?;
        }
        Ok(())
    }

    /// What has arrived in all.
    fn progress(&self) -> u64 {
        let heard: usize = self.heard.iter().flatten().map(Vec::len).sum();
        self.world.sights().map(|sight| sight.taken).sum::<u64>() + heard as u64
    }

    fn is_done(&mut self) -> bool {
        let [of_sender, of_receiver] = self.scenario.speech;
        let has_heard = self.heard.iter().all(|[by_sender, by_receiver]| {
            (by_sender.len(), by_receiver.len()) == (of_receiver, of_sender)
        });
        let is_acked = (0..self.scenario.order.flows).all(|flow| {
            let sides = self.world.connections(flow);
            sides.into_iter().flatten().all(|one| one.held().control_out == 0)
        });
        self.world.is_complete() && has_heard && is_acked
    }

    /// Adds up what the link has done since it was changed last.
    fn count_link(&mut self) {
        for (suffered, counts) in self.landed.suffered.iter_mut().zip(self.world.link_counts()) {
            suffered.offered += counts.offered;
            suffered.spoilt += counts.lost.total() + counts.corrupted;
            suffered.overtaken += counts.reordered;
        }
    }

    /// Adds up the DATA packets since the last call, if the receivers took some meanwhile.
    fn count_packets(&mut self) {
        let flows = 0..self.scenario.order.flows;
        let sent = flows.filter_map(|flow| {
            let [sender, _] = self.world.connections(flow);
            sender.map(|one| one.stats().data_packets_sent)
        });
        let sent = sent.sum();
        if self.reads {
            self.landed.packets += sent - self.counted;
        }
        self.counted = sent;
    }

    fn run_until(&mut self, until: Instant) -> Result<(), String> {
        while self.world.now() < until {
            self.run(until.since(self.world.now()).min(SLICE))?;
        }
        Ok(())
    }

    /// Runs for that long, and looks at everything.
    fn run(&mut self, span: Duration) -> Result<(), String> {
        self.advance(span)?;
        self.talk()?;
        self.look()
    }

    fn advance(&mut self, span: Duration) -> Result<(), String> {
        let until = self.world.now() + span;
        let (mut at, mut steps) = (self.world.now(), 0);
        while self.world.step(until) {
            steps = if self.world.now() > at { 0 } else { steps + 1 };
            at = self.world.now();
            if steps > STEPS_MAX {
                return Err(format!("time stands still at {at}"));
            }
            self.note_windows();
        }
        self.world.run_until(until);
        Ok(())
    }

    /// How wide each window has been: what is in flight may be of a wider one than there is when that is looked at.
    fn note_windows(&mut self) {
        for (flow, windows) in self.windows.iter_mut().enumerate() {
            for (connection, largest) in self.world.connections(flow).into_iter().zip(windows) {
                let window =
                    connection.map_or(0, |connection| connection.stats().congestion_window);
                *largest = window.max(*largest);
            }
        }
    }

    /// Both sides say what they have to say, and read what they hear.
    fn talk(&mut self) -> Result<(), String> {
        for flow in 0..self.scenario.order.flows {
            for (side, connection) in self.world.connections(flow).into_iter().enumerate() {
                let Some(connection) = connection else { continue };
                if !std::mem::replace(&mut self.has_spoken[flow][side], true) {
                    connection.write_control(&speech(flow, side, self.scenario.speech[side]));
                }
                let heard = &mut self.heard[flow][side];
                let before = heard.len();
                connection.read_control(heard);
                let said = speech(flow, 1 - side, self.scenario.speech[1 - side]);
                if heard.len() > said.len() || heard[before..] != said[before..heard.len()] {
                    return Err("what was heard is not what was said".into());
                }
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        if !self.world.is_intact() {
            return Err("a byte is not the one that was sent".into());
        }
        let mut ends = self.world.sights().flat_map(|sight| sight.ends).flatten();
        if let Some(end) = ends.next() {
            return Err(format!("ended early: {end:?}"));
        }
        drop(ends);
        for flow in 0..self.scenario.order.flows {
            let sides = self.world.connections(flow).into_iter().zip(&mut self.windows[flow]);
            for (side, (connection, largest)) in sides.enumerate() {
                let Some(connection) = connection else { continue };
                let (held, stats) = (connection.held(), connection.stats());
                let said = self.scenario.speech[side];
                let window = usize::try_from(self.scenario.order.arq.window).expect("small");
                if !keeps_bounds(&held, said, window) || !keeps_window(&stats, *largest) {
                    return Err(format!("too much is held: {held:?}, {stats:?}"));
                }
            }
        }
        Ok(())
    }
}

/// Whether what a connection holds is within what it documents, having to say so many bytes.
fn keeps_bounds(held: &Held, said: usize, window: usize) -> bool {
    let acks = usize::try_from(ACK_WINDOW).expect("small");
    let control = usize::try_from(CONTROL_WINDOW).expect("small");
    let outstanding = usize::try_from(held.outstanding).expect("small");
    held.control_in <= control
        && held.control_out <= said
        && held.frames <= window
        && held.frame_packets <= acks + window
        && held.ack_ranges <= acks / 2
        && held.overtaken <= LOST_REMEMBERED_MAX + outstanding
        && held.ranges <= 2 * RECEIVED_RANGES_MAX
}

/// Whether in flight is no more than the largest window allows, and the probes of a silence, which no window holds
/// back (RFC 9002 7.5).
fn keeps_window(stats: &Stats, largest: u64) -> bool {
    let probes = stats.probe_timeouts * PROBES_MAX * u64::from(stats.datagram_size);
    stats.bytes_in_flight <= 4 * largest + 64 * 1024 + probes
}

/// What one side has to say: neighbours and sides differ.
fn speech(flow: usize, side: usize, len: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at / 251 + at * 7 + flow * 2 + side) % 251);
    (0..len).map(|at| byte(at).expect("below 251")).collect()
}
