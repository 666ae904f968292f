//! What earlier transfers showed of the paths to hosts: the next one need not find it out again (RFC 9959).
//!
//! It is a file of this user's, `volley/paths.json` where programs keep their state. It saves time and nothing else
//! depends on it: where it cannot be read or written, transfers begin as to a new host.

use crate::base::time::Duration;
use crate::base::units::Share;
use crate::net::{Carrier, Finished};
use crate::os::clock;
use crate::transport::config::KnownPath;
use crate::transport::limits::Limit;
use crate::transport::stats::Stats;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A path may have changed after so many seconds.
const LIFETIME: u64 = 24 * 3600;

/// Hosts, at most: those seen last.
const HOSTS_MAX: usize = 256;

/// A longer file is not ours.
const FILE_MAX: u64 = 1 << 18;

/// What is worth remembering: shorter round trips and smaller windows are found out at once.
const ROUND_TRIP_MIN: Duration = Duration::from_millis(2);
const PACKETS_MIN: u64 = 500;
const WINDOW_MIN: u64 = 64 * 1200;

/// A wider window than this is not taken from a file.
const WINDOW_MAX: u64 = 64 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct KnownPaths {
    file: PathBuf,
}

impl KnownPaths {
    /// Where programs keep their state (XDG Base Directory Specification), unless this user has no such place.
    pub(super) fn of_user() -> Option<Self> {
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        let state = state
            .filter(|path| path.is_absolute())
            .or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
        Some(Self { file: state.join("volley/paths.json") })
    }

    /// Those that were seen not long ago.
    pub(super) fn load(&self) -> HashMap<IpAddr, KnownPath> {
        let now = clock::unix_seconds();
        let entries = self.entries();
        let recent = entries.iter().filter(|(_, entry)| is_recent(entry, now));
        recent.filter_map(|(host, entry)| Some((host.parse().ok()?, read(entry)?))).collect()
    }

    /// Forgets them all.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub(super) fn forget(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Remembers what a transfer showed, if it is worth that.
    pub(super) fn remember(&self, finished: &Finished) {
        let stats = finished.report.stats.as_ref();
        let is_udp = finished.carrier == Carrier::Udp;
        if let Some(known) = stats.filter(|_| is_udp).and_then(worth_knowing) {
            // Whoever cannot write there goes without.
            let _ = self.put(finished.peer.ip().to_canonical(), known);
        }
    }

    fn put(&self, host: IpAddr, known: KnownPath) -> io::Result<()> {
        let now = clock::unix_seconds();
        let mut entries = self.entries();
        entries.retain(|_, entry| is_recent(entry, now));
        entries.insert(host.to_string(), write(known, now));
        while entries.len() > HOSTS_MAX {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry["seen"].as_u64());
            let oldest = oldest.map(|(host, _)| host.clone()).expect("there are many");
            entries.remove(&oldest);
        }
        let text = Value::Object(entries).to_string();
        let directory = self.file.parent().expect("it has a name");
        std::fs::create_dir_all(directory)?;
        // Another transfer may write it, or read it, at the same time.
        let own = directory.join(format!("paths.json.{}", std::process::id()));
        std::fs::write(&own, text)?;
        std::fs::rename(&own, &self.file)
    }

    fn entries(&self) -> Map<String, Value> {
        match serde_json::from_slice(&contents(&self.file).unwrap_or_default()) {
            Ok(Value::Object(entries)) => entries,
            _ => Map::new(),
        }
    }
}

fn contents(file: &Path) -> io::Result<Vec<u8>> {
    let metadata = std::fs::metadata(file)?;
    match metadata.is_file() && metadata.len() <= FILE_MAX {
        true => std::fs::read(file),
        false => Ok(Vec::new()),
    }
}

fn is_recent(entry: &Value, now: u64) -> bool {
    let seen = entry["seen"].as_u64();
    seen.is_some_and(|seen| seen <= now && now - seen < LIFETIME)
}

fn write(known: KnownPath, now: u64) -> Value {
    json!({
        "round_trip_seconds": known.round_trip.as_secs_f64(),
        "window_bytes": known.window,
        "loss": known.loss.get(),
        "seen": now,
    })
}

fn read(entry: &Value) -> Option<KnownPath> {
    let round_trip = Duration::try_from_secs_f64(entry["round_trip_seconds"].as_f64()?).ok()?;
    let window = entry["window_bytes"].as_u64()?.min(WINDOW_MAX);
    Some(KnownPath { round_trip, window, loss: Share::new(entry["loss"].as_f64()?) })
}

/// What a path is like that held the sender back for long enough to show it.
fn worth_knowing(stats: &Stats) -> Option<KnownPath> {
    let longest = stats.limits.longest().map(|(limit, _)| limit);
    let is_full = matches!(longest, Some(Limit::Path | Limit::Window));
    let is_long = stats.min_rtt >= ROUND_TRIP_MIN && stats.packets_acked >= PACKETS_MIN;
    let window = stats.congestion_window;
    (is_full && is_long && window >= WINDOW_MIN).then(|| KnownPath {
        round_trip: stats.min_rtt,
        window,
        loss: stats.observed_loss(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(window: u64) -> KnownPath {
        let round_trip = Duration::from_millis(600);
        KnownPath { round_trip, window, loss: Share::new(0.25) }
    }

    fn bench() -> (tempfile::TempDir, KnownPaths) {
        let dir = tempfile::tempdir().expect("room");
        let paths = KnownPaths { file: dir.path().join("state/volley/paths.json") };
        (dir, paths)
    }

    #[test]
    fn what_is_remembered_is_known_until_it_is_forgotten() {
        let (_dir, paths) = bench();
        assert!(paths.load().is_empty());
        let [one, other] = ["192.0.2.7", "2001:db8::1"].map(|host| host.parse().expect("one"));
        paths.put(one, known(100_000)).expect("room");
        paths.put(other, known(200_000)).expect("room");
        paths.put(one, known(300_000)).expect("room");
        assert_eq!(paths.load(), HashMap::from([(one, known(300_000)), (other, known(200_000))]));
        paths.forget().expect("it is there");
        paths.forget().expect("it is gone");
        assert!(paths.load().is_empty());
    }

    #[test]
    fn the_oldest_go_and_what_is_no_path_is_not_taken() {
        let (_dir, paths) = bench();
        for number in 0..=255 {
            paths.put(IpAddr::from([192, 0, 2, number]), known(100_000)).expect("room");
        }
        let entry = |seen: u64| json!({ "round_trip_seconds": 0.1, "window_bytes": 9, "loss": 0, "seen": seen });
        let now = clock::unix_seconds();
        let mut entries = paths.entries();
        entries.insert("192.0.2.9".into(), entry(now - LIFETIME));
        entries.insert("192.0.2.10".into(), entry(now + 1_000_000));
        entries.insert("192.0.2.11".into(), json!({ "seen": now, "loss": "much" }));
        entries.insert(
            "192.0.2.12".into(),
            json!({ "seen": now, "round_trip_seconds": -1, "window_bytes": 1, "loss": 0 }),
        );
        entries.insert("nobody".into(), entry(now));
        entries.insert("192.0.2.13".into(), json!(7));
        std::fs::write(&paths.file, Value::Object(entries).to_string()).expect("room");
        assert_eq!(paths.load().len(), 251);
        let new = IpAddr::from([198, 51, 100, 1]);
        paths.put(new, known(100_000)).expect("room");
        assert!(paths.entries().len() <= HOSTS_MAX && paths.load().contains_key(&new));
        for junk in ["", "[]", "{", "{\"192.0.2.1\":{}}"] {
            std::fs::write(&paths.file, junk).expect("room");
            assert!(paths.load().is_empty(), "{junk}");
        }
    }

    #[test]
    fn only_a_full_path_is_worth_knowing() {
        let mut stats = Stats {
            packets_acked: 10_000,
            min_rtt: Duration::from_millis(600),
            congestion_window: 1_000_000,
            ..Stats::default()
        };
        assert_eq!(worth_knowing(&stats), None);
        stats.limits.add(Limit::Window, Duration::from_secs(1));
        assert_eq!(worth_knowing(&stats).map(|known| known.window), Some(1_000_000));
        for short in [
            Stats { min_rtt: Duration::from_millis(1), ..stats },
            Stats { packets_acked: 100, ..stats },
            Stats { congestion_window: 20_000, ..stats },
        ] {
            assert_eq!(worth_knowing(&short), None);
        }
        stats.limits.add(Limit::Source, Duration::from_secs(2));
        assert_eq!(worth_knowing(&stats), None);
    }
}
