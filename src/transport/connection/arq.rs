//! A classic strategy in the place of volley's own: what it sends, what it learns.
//!
//! Frames are packets of one size. Those with data are not in the table of sent packets, so neither
//! loss detection nor probes touch them: only the strategy's timers repeat a frame.

use super::Connection;
use crate::base::time::{Duration, Instant};
use crate::base::units::Rate;
use crate::transport::arq::{self, Arq, ArqConfig, Strategy};
use crate::transport::batch::{Batch, PACKET_OVERHEAD};
use crate::transport::config::{ACK_WINDOW, PTO_MAX};
use crate::transport::loss::LossRule;
use crate::transport::rate_limit::IP_AND_UDP;
use crate::transport::send_space::Segment;
use crate::transport::timers::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::frame::Ack;
use std::collections::BTreeMap;
use std::ops::Range;

/// The timer of a frame that is still being fetched fires after this, which is never.
const FETCH_MAX: Duration = Duration::from_secs(1 << 20);

/// The sender's side of a strategy, and which packets and bytes its frames are.
#[derive(Debug)]
pub(super) struct Frames {
    arq: Box<dyn Arq>,
    config: ArqConfig,
    /// Frames that are not acknowledged.
    outstanding: BTreeMap<u64, Outstanding>,
    /// Frames that were ever sent.
    count: u64,
    /// By packet number: the frame and when it was sent.
    packets: BTreeMap<u64, (u64, Instant)>,
    /// The ranges of the last acknowledgement, highest first.
    told: Vec<Range<u64>>,
    /// When a frame was acknowledged last, or the first one sent.
    heard_at: Option<Instant>,
    /// When the line has carried all that was sent.
    line_free_at: Instant,
}

/// A frame that is not acknowledged.
#[derive(Debug)]
struct Outstanding {
    range: Range<u64>,
    /// The number of the packet that carried it last.
    number: Option<u64>,
}

impl Frames {
    pub(super) fn new(config: &ArqConfig) -> Option<Self> {
        Some(Self {
            arq: arq::sender(config)?,
            config: *config,
            outstanding: BTreeMap::new(),
            count: 0,
            packets: BTreeMap::new(),
            told: Vec::new(),
            heard_at: None,
            line_free_at: Instant::ZERO,
        })
    }

    /// Frames that are not acknowledged, and packets remembered.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.outstanding.len(), self.packets.len())
    }

    /// The bytes of the next frame that is acknowledged together with this one, which is taken out.
    fn take_acked(&mut self, frame: u64) -> Option<Range<u64>> {
        let acked = match self.config.strategy {
            // Who keeps nothing out of order has all before it.
            Strategy::StopAndWait | Strategy::GoBackN => {
                let first = self.outstanding.first_entry().filter(|first| *first.key() <= frame)?;
                first.remove()
            }
            Strategy::SelectiveRepeat | Strategy::Volley => self.outstanding.remove(&frame)?,
        };
        Some(acked.range)
    }

    /// A frame was cancelled meanwhile: nobody waits for it. Go-back-N would take its acknowledgement
    /// for one of all before it; there it keeps its turn, and counts when it is the oldest.
    fn pass_over(&mut self, frame: u64) {
        let is_oldest = self.outstanding.first_key_value().is_none_or(|(first, _)| *first >= frame);
        if is_oldest || self.config.strategy != Strategy::GoBackN {
            self.outstanding.remove(&frame);
            self.arq.on_ack(frame);
        }
    }

    /// The line carries these datagrams now, whatever they are.
    pub(super) fn occupy_line(&mut self, now: Instant, batch: &Batch) {
        if let Some(rate) = self.config.line {
            for datagram in batch.datagrams() {
                let time = transmission_time(rate, datagram.len());
                self.line_free_at = self.line_free_at.max(now) + time;
            }
        }
    }
}

/// How long a line takes for a datagram of `size` bytes.
fn transmission_time(rate: Rate, size: usize) -> Duration {
    let bits = (size + IP_AND_UDP) as u128 * 8;
    let nanos = (bits * 1_000_000_000).div_ceil(u128::from(rate.bits_per_second()));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl Connection {
    /// Fills `batch` with the frames that the strategy lets go.
    pub(super) fn poll_frames(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let Some(mut frames) = self.frames.take() else {
            return false;
        };
        let datagram = usize::from(self.mtu.current());
        let limited = self.limit_allowance(now, datagram);
        let most = if frames.config.line.is_some() { 1 } else { self.config.max_train };
        let most = most.min(limited.unwrap_or(0));
        let payload = datagram - PACKET_OVERHEAD;
        while batch.slots().len() < most && frames.line_free_at <= now {
            let Some((frame, segment)) = self.next_frame(now, &mut frames, payload) else { break };
            let range = segment.range.clone();
            let len = usize::try_from(range.end - range.start).expect("no longer than a payload");
            let number = frames.outstanding.get(&frame).and_then(|sent| sent.number);
            frames.outstanding.insert(frame, Outstanding { range, number });
            self.reserve(batch, segment, len, Some(frame));
            // A train's datagrams are equal but for the last: a short frame that goes again ends it.
            if len < payload {
                break;
            }
        }
        let line = frames.line_free_at.max(limited.err().unwrap_or(now));
        self.timers.set(Timer::Pace, Some(line).filter(|line| *line > now));
        self.timers.set(Timer::Frame, frames.arq.timer());
        self.frames = Some(frames);
        !batch.slots().is_empty()
    }

    fn next_frame(
        &mut self,
        now: Instant,
        frames: &mut Frames,
        payload: usize,
    ) -> Option<(u64, Segment)> {
        frames.heard_at.get_or_insert(now);
        loop {
            // Its time begins when it leaves.
            let frame = frames.arq.next(now + FETCH_MAX, self.space_out.has_next())?;
            if frame == frames.count {
                let segment = self.space_out.next(payload as u64);
                let segment = segment.expect("there is a next one");
                frames.count += 1;
                return Some((frame, Segment { again: false, ..segment }));
            }
            match frames.outstanding.get(&frame) {
                Some(Outstanding { range, .. }) if !self.space_out.has_delivered(range) => {
                    return Some((frame, Segment { range: range.clone(), again: true }));
                }
                _ => frames.pass_over(frame),
            }
        }
    }

    /// The frame leaves now, under the next number.
    pub(super) fn on_frame_sent(&mut self, now: Instant, frame: u64) {
        let (number, pto) = (self.sent.next_number(), self.probe_timeout());
        self.sent.skip();
        if let Some(frames) = &mut self.frames {
            let timeout = frames.config.timeout.unwrap_or_else(|| {
                // As long as it has been silent: the wait doubles until something is heard again.
                let silence = now.since(*frames.heard_at.get_or_insert(now));
                silence.clamp(pto, PTO_MAX.max(pto))
            });
            frames.arq.on_sent(frame, now + timeout);
            frames.packets.insert(number, (frame, now));
            if let Some(outstanding) = frames.outstanding.get_mut(&frame) {
                outstanding.number = Some(number);
            }
            self.timers.set(Timer::Frame, frames.arq.timer());
        }
        self.restart_keep_alive(now);
    }

    /// The frame could not be fetched: its turn comes again at once.
    pub(super) fn on_frame_abandoned(&mut self, frame: u64) {
        if let Some(frames) = &mut self.frames {
            frames.arq.on_sent(frame, Instant::ZERO);
            self.timers.set(Timer::Frame, frames.arq.timer());
        }
    }

    /// Tells the strategy which frames an acknowledgement is about.
    pub(super) fn on_frames_acked(&mut self, now: Instant, ack: &Ack) {
        let Some(frames) = &mut self.frames else {
            return;
        };
        // Most ranges are those of the acknowledgement before.
        let mut told = std::mem::take(&mut frames.told);
        let is_new = |range: &&Range<u64>| {
            let place = told.binary_search_by(|old| range.start.cmp(&old.start));
            !place.is_ok_and(|place| told[place] == **range)
        };
        for range in ack.ranges.iter().filter(is_new) {
            let numbers: Vec<u64> =
                frames.packets.range(range.clone()).map(|(number, _)| *number).collect();
            for number in numbers {
                let (frame, sent_at) = frames.packets.remove(&number).expect("just found");
                if number == ack.largest() && self.paths.is_current(sent_at) {
                    self.rtt.update(now.since(sent_at), ack.delay.min(self.peer.max_ack_delay));
                }
                self.trace.record(now, || TraceEvent::Acked { number });
                self.stats.packets_acked += 1;
                frames.heard_at = Some(now);
                frames.arq.on_ack(frame);
                while let Some(range) = frames.take_acked(frame) {
                    self.space_out.on_acked(&range);
                }
            }
        }
        told.clone_from(&ack.ranges);
        frames.told = told;
        let floor = ack.largest().saturating_sub(ACK_WINDOW);
        while frames.packets.first_key_value().is_some_and(|(number, _)| *number < floor) {
            frames.packets.pop_first();
        }
        self.timers.set(Timer::Frame, frames.arq.timer());
    }

    /// The strategy's timer has fired.
    pub(super) fn on_frame_timeout(&mut self, now: Instant) {
        let Some(frames) = &mut self.frames else {
            return;
        };
        while frames.arq.timer().is_some_and(|at| at <= now) {
            let Some(frame) = frames.arq.on_timeout() else { break };
            self.stats.packets_lost += 1;
            if let Some(Outstanding { number: Some(number), range }) =
                frames.outstanding.get(&frame)
            {
                let (number, range, rule) = (*number, Some(range.clone()), LossRule::Timer);
                self.trace.record(now, || TraceEvent::Lost { number, range, rule });
            }
        }
    }
}
