//! Going to a listener by whatever way leads there, and again when it is lost.

use super::dial::{self, Otherwise};
use super::{Finished, Interrupt, Notice, Observer, tcp};
use crate::base::time::{Duration, Instant};
use crate::base::units::show_duration;
use crate::os::clock::Clock;
use crate::transfer::outcome::{Failure, Reason};
use std::sync::mpsc::channel;

/// Before a lost peer is tried again the first time; twice as long before each further time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// While waiting, the interrupt is looked at this often.
const PATIENCE: Duration = Duration::from_millis(100);

/// The number of a dialer's only transfer.
pub const TRANSFER: u64 = 1;

/// Which ways may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP, and where that gets no answer TCP.
    UdpElseTcp,
}

/// Where to go, and how.
#[derive(Clone, Debug)]
pub struct Call {
    /// What to come for, and how to do it over UDP.
    pub order: dial::Order,
    /// Which ways may be taken.
    pub ways: Ways,
    /// A listener that had answered and is lost is tried again for this long.
    pub retry: Duration,
}

impl Call {
    /// Goes there, and again as often as the other side is lost and comes back.
    ///
    /// # Errors
    /// A file cannot be read, a socket cannot be made, or nobody answered at any address.
    pub fn make(&self, observer: &Observer, interrupt: &Interrupt) -> Result<Finished, Failure> {
        let clock = Clock::start();
        let mut finished = self.try_once(observer, interrupt)?;
        if !finished.is_peer_lost || self.retry.is_zero() {
            return Ok(finished);
        }
        while finished.is_peer_lost {
            finished = match self.wait_for(&finished, observer, interrupt) {
                Ok(answered) => answered,
                Err(failure) => {
                    finished.fail(failure);
                    break;
                }
            };
        }
        let in_all = clock.now().since(Instant::ZERO);
        finished.retrying = in_all.saturating_sub(finished.elapsed);
        Ok(finished)
    }

    /// Tries until the other side is there again, or somebody else says why not.
    fn wait_for(
        &self,
        lost: &Finished,
        observer: &Observer,
        interrupt: &Interrupt,
    ) -> Result<Finished, Failure> {
        let clock = Clock::start();
        let until = clock.now() + self.retry;
        let why = lost.report.failure.clone().expect("it was lost because of something");
        let (mut failure, mut pause) = (why.clone(), FIRST_PAUSE);
        loop {
            let left = until.since(clock.now());
            if left.is_zero() {
                let text = format!("{}; tried again for {}", why.text, show_duration(self.retry));
                return Err(Failure { text, ..why });
            }
            pause = pause.min(left);
            let told = failure.clone();
            observer(Notice::Retrying { id: TRANSFER, failure: told, pause, left });
            sleep(pause, interrupt)?;
            match self.try_once(observer, interrupt) {
                Err(unreachable) if unreachable.reason == Reason::Unreachable => {
                    failure = unreachable;
                }
                Ok(finished) if finished.is_unreachable() => {
                    failure = finished.report.failure.unwrap_or(failure);
                }
                answered => return answered,
            }
            pause = (2 * pause).min(LAST_PAUSE);
        }
    }

    fn try_once(&self, observer: &Observer, interrupt: &Interrupt) -> Result<Finished, Failure> {
        let order = &self.order;
        let over_tcp = |addresses| {
            let (errand, max_rate) = (order.errand.clone(), order.max_rate);
            let order = tcp::Order { errand, addresses, congestion: None, max_rate };
            tcp::dial(&order, observer, interrupt)
        };
        match self.ways {
            Ways::Tcp => over_tcp(order.addresses.clone()),
            Ways::Udp => dial::dial(order, observer, interrupt),
            Ways::UdpElseTcp => {
                let (mut finished, is_given_up) =
                    dial::reach(order, Otherwise::GiveUp, observer, interrupt)?;
                if is_given_up {
                    let peer = finished.peer;
                    observer(Notice::FellBack { id: TRANSFER, peer });
                    match over_tcp(vec![peer]) {
                        Ok(carried) => finished = carried,
                        // What was begun over UDP ends with it.
                        Err(failure) => finished.fail(failure),
                    }
                }
                Ok(finished)
            }
        }
    }
}

/// Waits, unless interrupted.
fn sleep(pause: Duration, interrupt: &Interrupt) -> Result<(), Failure> {
    let clock = Clock::start();
    let (_nobody, never) = channel::<()>();
    while clock.now().since(Instant::ZERO) < pause {
        let left = pause.saturating_sub(clock.now().since(Instant::ZERO));
        let _ = never.recv_timeout(left.min(PATIENCE));
        if let Some(failure) = interrupt.failure() {
            return Err(failure);
        }
    }
    Ok(())
}
