//! What a transfer was like, as a few lines for a person.

use super::plan;
use crate::base::time::Duration;
use crate::base::units::{Rate, Share, show_duration, show_size};
use crate::link::{LinkConfig, LinkCounts};
use crate::transfer::outcome::{Counts, Done, FileReport, TransferReport};
use crate::transport::limits::Limit;
use crate::transport::stats::Stats;
use std::fmt::Write;

/// Where more files arrived, their hashes are not shown; of more failures, the first ones are.
pub(super) const FILES_SHOWN: usize = 8;

/// Which way the files went, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this side.
    Received,
    /// From this side.
    Sent,
}

/// An imperfect link: what was asked for and what it did.
#[derive(Clone, Debug)]
pub struct LinkSummary {
    /// From this side to the other.
    pub out: Way,
    /// From the other side to this one.
    pub back: Way,
    /// What both drew from.
    pub seed: u64,
    /// Datagrams that came in damaged and were dropped.
    pub found_damaged: u64,
}

/// One direction of an imperfect link.
#[derive(Clone, Debug)]
pub struct Way {
    /// What was asked for.
    pub config: LinkConfig,
    /// What it did.
    pub counts: LinkCounts,
}

/// One transfer that is over.
#[derive(Debug)]
pub struct Summary<'a> {
    /// Which way the files went.
    pub direction: Direction,
    /// "UDP" or "TCP".
    pub carrier: &'a str,
    /// The other side.
    pub peer: String,
    /// From the first packet to the outcome; of the last attempt, if there were several.
    pub elapsed: Duration,
    /// What earlier attempts took, and the time between attempts: what they moved is not in the report.
    pub retrying: Duration,
    /// How it ended.
    pub report: &'a TransferReport,
    /// The imperfect link, if there was one.
    pub link: Option<LinkSummary>,
}

impl Summary<'_> {
    /// From the first packet of the first attempt to the outcome.
    #[must_use]
    pub fn in_all(&self) -> Duration {
        self.retrying + self.elapsed
    }

    /// Committed file bytes that went, over the time from the first packet to the outcome (RFC 2647 3.17).
    #[must_use]
    pub fn goodput(&self) -> Rate {
        Rate::of(self.report.moved_bytes(), self.elapsed)
    }

    /// Bytes of UDP payload sent over the same time.
    #[must_use]
    pub fn throughput(&self, stats: &Stats) -> Rate {
        Rate::of(stats.bytes_sent, self.elapsed)
    }

    /// File bytes in each byte of UDP payload sent.
    #[must_use]
    pub fn wire_efficiency(&self, stats: &Stats) -> Share {
        Share::of(self.report.moved_bytes(), stats.bytes_sent)
    }

    /// The summary, one fact a line.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(planned) = &self.report.counts.planned {
            return plan::text(self, planned);
        }
        let mut text = self.headline();
        self.put_failures("not kept", &mut text);
        put_spared(&mut text, &self.report.counts);
        put_skipped(&mut text, &self.report.counts);
        if let Some(failure) = &self.report.failure {
            push(&mut text, "ended", &failure.text);
        }
        if self.report.moved_bytes() > 0 {
            let span = match self.retrying.is_zero() {
                true => "time".to_owned(),
                false => format!("the {} of the last attempt", show_duration(self.elapsed)),
            };
            push(&mut text, "goodput", &format!("{} (file bytes over {span})", self.goodput()));
        }
        let stats = self.report.stats.as_ref().filter(|stats| stats.data_packets_sent > 0);
        if let Some(stats) = stats.filter(|_| self.report.moved_bytes() > 0) {
            self.put_sender_lines(&mut text, stats);
        }
        if let Some(link) = &self.link {
            put_link(&mut text, link);
        }
        put_hashes(&mut text, &self.report.files);
        text
    }

    pub(super) fn put_failures(&self, label: &str, text: &mut String) {
        let mut failed = self.report.files.iter().filter_map(|file| {
            let failure = file.outcome.as_ref().err()?;
            // What ended the transfer is said once, not again for each file that it took along.
            (self.report.failure.as_ref() != Some(failure)).then_some((file, failure))
        });
        let mut shown = 0;
        for (file, failure) in failed.by_ref().take(FILES_SHOWN) {
            push(text, label, &format!("{}: {}", file.name, failure.text));
            shown += 1;
        }
        if failed.next().is_some() {
            let more = self.report.counts.failed - shown;
            push(text, "", &format!("and {more} more failed"));
        }
    }

    /// What went where, in how long.
    #[must_use]
    pub fn headline(&self) -> String {
        let counts = &self.report.counts;
        let is_new = |file: &&FileReport| matches!(file.outcome, Ok(Done::Committed { .. }));
        let only = self.report.files.iter().find(is_new);
        let (verb, way) = match self.direction {
            Direction::Received => ("received", "from"),
            Direction::Sent => ("sent", "to"),
        };
        let (peer, carrier) = (&self.peer, self.carrier);
        let elapsed = show_duration(self.in_all());
        let others =
            [(counts.directories, "directory", "directories"), (counts.links, "link", "links")];
        let is_plain = counts.directories + counts.links == 0;
        let what = match (counts.files, only) {
            (0, _) if is_plain && counts.failed == 0 && counts.same + counts.left > 0 => {
                return format!(
                    "nothing had to be {verb} {way} {peer} over {carrier}: known in {elapsed}"
                );
            }
            (0, _) if is_plain => {
                return format!("nothing {verb} {way} {peer} over {carrier} in {elapsed}");
            }
            (1, Some(only)) if is_plain => {
                format!("{}{} ({})", only.name, renaming(only), show_size(only.size))
            }
            (files, _) => {
                let mut what = plural(files, "file", "files");
                for (count, one, many) in others.iter().filter(|(count, ..)| *count > 0) {
                    what += &format!(", {}", plural(*count, one, many));
                }
                format!("{what} ({})", show_size(counts.bytes))
            }
        };
        let of = match (counts.failed, counts.entries) {
            (0, _) => String::new(),
            (_, entries) if is_plain => format!(" of {entries} files"),
            (failed, _) => format!(", and not {failed} more,"),
        };
        format!("{verb} {what}{of} {way} {peer} over {carrier} in {elapsed}")
    }

    fn put_sender_lines(&self, text: &mut String, stats: &Stats) {
        let efficiency = self.wire_efficiency(stats);
        let sent = show_size(stats.bytes_sent);
        push(
            text,
            "throughput",
            &format!("{} ({sent} of UDP payload, {efficiency} of it file)", self.throughput(stats)),
        );
        push(
            text,
            "packets",
            &format!(
                "{} sent, {} of them data; {} sent again: {} needed, {} spurious",
                stats.datagrams_sent,
                stats.data_packets_sent,
                stats.retransmissions,
                stats.needed_retransmissions(),
                stats.unneeded_retransmissions()
            ),
        );
        let loss = stats.observed_loss();
        let rtt = show_duration(stats.smoothed_rtt);
        let least = show_duration(stats.min_rtt);
        let marked = match stats.ecn.met {
            0 => String::new(),
            met => format!(", {} marked (ECN)", plural(met, "packet", "packets")),
        };
        let path = format!("{loss} loss observed{marked}, round trip {rtt} (least {least})");
        push(text, "path", &path);
        if let Some((limit, share)) = stats.limits.longest() {
            push(text, "limited by", &format!("{}, {share} of the time", show_limit(limit)));
        }
    }
}

/// What kept the sender from sending more.
fn show_limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Path => "the rate of the path",
        Limit::Window => "the congestion window",
        Limit::Receiver => "the receiver's writing",
        Limit::Answers => "the receiver, which accepts, verifies and stores",
        Limit::Source => "reading the files here",
        Limit::AskedRate => "the rate that was asked for",
        Limit::Sending => "this side's processor",
    }
}

fn put_link(text: &mut String, link: &LinkSummary) {
    let LinkSummary { out, back, seed, found_damaged } = link;
    push(text, "link", &format!("{} (configured)", show_ways(&out.config, &back.config, *seed)));
    for (name, way) in [("out", out), ("back", back)] {
        push(text, "", &format!("{name}: {}", show_counts(&way.counts)));
    }
    if back.counts.corrupted > 0 || *found_damaged > 0 {
        push(text, "", &format!("{found_damaged} damaged datagrams came in and were dropped"));
    }
}

/// What an imperfect link does each way, and what it draws from.
#[must_use]
pub fn show_ways(out: &LinkConfig, back: &LinkConfig, seed: u64) -> String {
    if out == back {
        format!("{out} each way, seed {seed}")
    } else {
        format!("{out} out; {back} back; seed {seed}")
    }
}

/// What one direction of a link did.
#[must_use]
pub fn show_counts(counts: &LinkCounts) -> String {
    let LinkCounts { offered, lost, marked, corrupted, duplicated, reordered, .. } = counts;
    let mut text = format!("{} of {offered} datagrams lost, {}", lost.total(), counts.loss());
    let causes = [
        (lost.chance, "by chance"),
        (lost.burst, "in bursts"),
        (lost.queue, "in the queue"),
        (lost.listed, "as listed"),
        (lost.oversize, "too large"),
    ];
    let causes: Vec<_> = causes.iter().filter(|(count, _)| *count > 0).collect();
    if let [_, _, ..] = causes[..] {
        let causes: Vec<_> = causes.iter().map(|(count, what)| format!("{count} {what}")).collect();
        text += &format!(" ({})", causes.join(", "));
    } else if let [(_, what)] = causes[..]
        && lost.chance == 0
    {
        text += &format!(" ({what})");
    }
    for (count, what) in [
        (marked, "marked"),
        (corrupted, "corrupted"),
        (duplicated, "duplicated"),
        (reordered, "held back"),
    ] {
        if *count > 0 {
            text += &format!("; {count} {what}");
        }
    }
    text
}

/// A number of things.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The name that a file got, where it is not its own.
fn renaming(file: &FileReport) -> String {
    let renamed = file.outcome.as_ref().ok().and_then(Done::renamed);
    renamed.map_or_else(String::new, |path| format!(" as {path}"))
}

/// What did not have to go.
fn put_spared(text: &mut String, counts: &Counts) {
    if counts.holes > 0 {
        push(
            text,
            "holes",
            &format!("{} of it are holes, and did not go", show_size(counts.holes)),
        );
    }
    if counts.resumed > 0 {
        let size = show_size(counts.resumed);
        push(text, "resumed", &format!("{size} had come before and did not go again"));
    }
    put_there(text, counts, "not sent again");
}

/// What is there already, and stays; the same of it is so much.
pub(super) fn put_there(text: &mut String, counts: &Counts, and_so: &str) {
    if counts.same > 0 {
        let (same, size) = (plural(counts.same, "file", "files"), show_size(counts.same_bytes));
        push(text, "there", &format!("{same} ({size}) with the same contents, {and_so}"));
    }
    if counts.left > 0 {
        let left = plural(counts.left, "name", "names");
        push(
            text,
            "left alone",
            &format!("{left} that the receiver had already (--skip-existing)"),
        );
    }
}

/// What the sender left out without having been told to.
pub(super) fn put_skipped(text: &mut String, counts: &Counts) {
    if counts.skipped_links > 0 {
        let links = plural(counts.skipped_links, "symbolic link", "symbolic links");
        push(
            text,
            "left out",
            &format!("{links}; send them with --links, or with --copy-links what they lead to"),
        );
    }
    if counts.skipped_special > 0 {
        let special = plural(counts.skipped_special, "special file", "special files");
        let more = counts.skipped_special - counts.special.len() as u64;
        let more = if more > 0 { ", ..." } else { "" };
        push(text, "left out", &format!("{special}: {}{more}", counts.special.join(", ")));
    }
}

/// Hashes for people to compare, where they are few.
fn put_hashes(text: &mut String, files: &[FileReport]) {
    let done = files.iter().filter_map(|file| Some((file, file.outcome.as_ref().ok()?.hash()?)));
    if done.clone().nth(FILES_SHOWN).is_none() {
        done.for_each(|(file, hash)| {
            push(text, "BLAKE3", &format!("{hash}  {}{}", file.name, renaming(file)));
        });
    }
}

pub(super) fn push(text: &mut String, label: &str, fact: &str) {
    write!(text, "\n  {label:<11} {fact}").expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LossCounts;
    use crate::transfer::entry::Sort;
    use crate::transfer::hash::Hash;
    use crate::transfer::outcome::{Failure, Ledger, Reason};
    use crate::transport::limits::LimitTimes;

    fn file(name: &str, size: u64, failure: Option<Failure>) -> FileReport {
        FileReport {
            name: name.into(),
            size,
            holes: 0,
            outcome: failure.map_or(Ok(Done::committed(Hash::of(b""))), Err),
        }
    }

    fn report(
        files: Vec<FileReport>,
        failure: Option<Failure>,
        stats: Option<Stats>,
    ) -> TransferReport {
        let mut ledger = Ledger::default();
        (0..).zip(files).for_each(|(index, file)| ledger.note(index, Sort::File, file));
        ledger.report(failure, stats)
    }

    fn text(report: &TransferReport, link: Option<LinkSummary>) -> String {
        let (direction, carrier) = (Direction::Sent, "UDP");
        let (elapsed, retrying) = (Duration::from_secs(2), Duration::ZERO);
        let peer = "192.0.2.7:7117".into();
        Summary { direction, carrier, peer, elapsed, retrying, report, link }.text()
    }

    #[test]
    fn the_rate_is_that_of_the_attempt_that_moved_the_bytes() {
        let report = report(vec![file("a", 1_000_000, None)], None, None);
        let summary = Summary {
            direction: Direction::Received,
            carrier: "TCP",
            peer: "192.0.2.7:7117".into(),
            elapsed: Duration::from_secs(2),
            retrying: Duration::from_secs(38),
            report: &report,
            link: None,
        };
        let text = summary.text();
        assert!(text.contains(" over TCP in 40 s\n"), "{text}");
        assert!(text.contains("4 Mbit/s (file bytes over the 2 s of the last attempt)"), "{text}");
    }

    #[test]
    fn all_well_is_one_line_and_the_facts_below_it() {
        let mut limits = LimitTimes::default();
        limits.add(Limit::Path, Duration::from_millis(1900));
        limits.add(Limit::Source, Duration::from_millis(100));
        let stats = Stats {
            bytes_sent: 1_100_000,
            datagrams_sent: 900,
            data_packets_sent: 800,
            retransmissions: 50,
            spurious_retransmissions: 2,
            packets_lost: 48,
            packets_acked: 752,
            smoothed_rtt: Duration::from_millis(51),
            min_rtt: Duration::from_millis(50),
            limits,
            ..Stats::default()
        };
        let files = vec![file("a.bin", 1_000_000, None)];
        let report = report(files, None, Some(stats));
        let lost = LossCounts { chance: 49, ..LossCounts::default() };
        let counts = LinkCounts { offered: 1000, lost, ..LinkCounts::default() };
        let delay = Duration::from_millis(25);
        let config = LinkConfig { loss: Share::new(0.05), delay, ..LinkConfig::default() };
        let way = Way { config, counts };
        let link = LinkSummary { out: way.clone(), back: way, seed: 7, found_damaged: 0 };
        assert_eq!(
            text(&report, Some(link)),
            "sent a.bin (977 KiB) to 192.0.2.7:7117 over UDP in 2 s
  goodput     4 Mbit/s (file bytes over time)
  throughput  4.4 Mbit/s (1.05 MiB of UDP payload, 90.91 % of it file)
  packets     900 sent, 800 of them data; 50 sent again: 48 needed, 2 spurious
  path        6 % loss observed, round trip 51 ms (least 50 ms)
  limited by  the rate of the path, 95 % of the time
  link        5 % loss, 25 ms delay each way, seed 7 (configured)
              out: 49 of 1000 datagrams lost, 4.9 %
              back: 49 of 1000 datagrams lost, 4.9 %
  BLAKE3      af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262  a.bin"
        );
    }

    #[test]
    fn what_went_wrong_is_said_for_each_file() {
        let exists = Failure::new(Reason::Exists, "it exists");
        let files = vec![file("a", 5, None), file("b", 5, Some(exists))];
        let lost = Some(Failure::new(Reason::Interrupted, "nothing received"));
        let shown = text(&report(files, lost, None), None);
        assert!(shown.starts_with("sent a (5 B) of 2 files to 192.0.2.7:7117"), "{shown}");
        assert!(shown.contains("not kept    b: it exists"), "{shown}");
        assert!(shown.contains("ended       nothing received"), "{shown}");
    }

    #[test]
    fn many_files_are_counted() {
        let files = (0..20).map(|index| file(&format!("f{index}"), 1, None)).collect();
        let shown = text(&report(files, None, None), None);
        assert!(shown.starts_with("sent 20 files (20 B)") && !shown.contains("BLAKE3"), "{shown}");
    }

    #[test]
    fn a_tree_is_one_line_and_the_first_of_its_failures() {
        let mut ledger = Ledger::default();
        for index in 0..12u32 {
            let exists = Failure::new(Reason::Exists, "it exists");
            let failure = (index >= 2).then_some(exists);
            ledger.note(index, Sort::File, file(&format!("d/f{index}"), 5, failure));
        }
        ledger.note(12, Sort::Directory, file("d", 0, None));
        ledger.note(13, Sort::Link, file("d/l", 0, None));
        ledger.skipped_special("d/pipe".into());
        let shown = text(&ledger.report(None, None), None);
        let first = "sent 2 files, 1 directory, 1 link (10 B), and not 10 more, to 192.0.2.7:7117";
        assert!(shown.starts_with(first), "{shown}");
        assert_eq!(shown.matches("not kept").count(), 8, "{shown}");
        assert!(shown.contains("and 2 more failed"), "{shown}");
        assert!(shown.contains("left out    1 special file: d/pipe"), "{shown}");
    }
}
