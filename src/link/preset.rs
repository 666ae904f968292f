//! Links by name, with numbers that somebody measured or fixed.

use super::config::{Bottleneck, DEFAULT_MTU, LinkConfig, QueueSize};
use crate::base::time::Duration;
use crate::base::units::{Rate, Share};

/// A kind of link, seen from the end where its user sits: out is up, back is down.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// What to write after `--link`.
    pub name: &'static str,
    /// What it stands for.
    pub about: &'static str,
    /// Where its numbers come from.
    pub source: &'static str,
    /// kbit/s on the way out and on the way back.
    rates: [u64; 2],
    /// Of an empty path, in microseconds; half of it each way.
    round_trip: u64,
    /// How far the delay of one way wanders, in microseconds.
    jitter: u64,
    /// Lost by chance out of 100,000.
    loss: u32,
    /// Lost in bursts, as people write it.
    burst_loss: Option<&'static str>,
    queue: QueueSize,
}

impl Preset {
    /// What the way out and the way back do.
    #[must_use]
    pub fn ways(&self) -> [LinkConfig; 2] {
        let round_trip = Duration::from_micros(self.round_trip);
        self.rates.map(|rate| {
            let rate = Rate::from_bits_per_second(rate * 1000);
            let bursts = self.burst_loss.map(str::parse);
            LinkConfig {
                loss: Share::new(f64::from(self.loss) / 1e5),
                burst_loss: bursts.map(|bursts| bursts.expect("the table is tested")),
                delay: round_trip / 2,
                jitter: Duration::from_micros(self.jitter),
                bottleneck: Some(Bottleneck { rate, queue: self.queue.bytes(rate, round_trip) }),
                mtu: Some(DEFAULT_MTU),
                ..LinkConfig::default()
            }
        })
    }

    /// The preset of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }
}

/// All presets, from the best link to the worst.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "lan",
        about: "two machines on one switch",
        source: "IEEE 802.3ab: 1 Gbit/s; round trips of 0.1 to 0.5 ms are usual",
        rates: [1_000_000, 1_000_000],
        round_trip: 300,
        jitter: 50,
        loss: 0,
        burst_loss: None,
        queue: QueueSize::Bytes(256 << 10),
    },
    Preset {
        name: "wifi",
        about: "a crowded wireless network at home",
        source: "the \"bad Wi-Fi\" model of draft-huitema-ccwg-c4-test: 20 Mbit/s, 7 ms of jitter",
        rates: [20_000, 20_000],
        round_trip: 14_000,
        jitter: 7_000,
        loss: 100,
        burst_loss: None,
        queue: QueueSize::Bytes(64 << 10),
    },
    Preset {
        name: "lte",
        about: "a phone with good reception",
        source: "WebPageTest's LTE profile: 12 Mbit/s both ways, 70 ms round trip",
        rates: [12_000, 12_000],
        round_trip: 70_000,
        jitter: 10_000,
        loss: 0,
        burst_loss: None,
        // Buffers of mobile networks are deep.
        queue: QueueSize::Bdp(4.0),
    },
    Preset {
        name: "3g",
        about: "a phone with poor reception",
        source: "Lighthouse, docs/throttling.md: 1.6 Mbit/s down, 750 kbit/s up, 150 ms round trip",
        rates: [750, 1_600],
        round_trip: 150_000,
        jitter: 20_000,
        loss: 0,
        burst_loss: None,
        queue: QueueSize::Bdp(4.0),
    },
    Preset {
        name: "adsl",
        about: "a home behind a telephone line",
        source: "ITU-T G.992.1: 8 Mbit/s down, 1 Mbit/s up; interleaving makes a round trip of about 40 ms",
        rates: [1_000, 8_000],
        round_trip: 40_000,
        jitter: 0,
        loss: 0,
        burst_loss: None,
        queue: QueueSize::Bdp(2.0),
    },
    Preset {
        name: "transatlantic",
        about: "London to New York over leased capacity",
        source: "cable latency of about 70 ms, 0.1 % loss at most: what carriers guarantee between the two",
        rates: [100_000, 100_000],
        round_trip: 72_000,
        jitter: 500,
        loss: 10,
        burst_loss: None,
        queue: QueueSize::Bdp(1.0),
    },
    Preset {
        name: "leo",
        about: "a dish under satellites in low orbit",
        source: "measurements of Starlink: 100 to 200 Mbit/s down, 10 to 20 up, 30 to 80 ms, 1 % lost in bursts",
        rates: [15_000, 150_000],
        round_trip: 50_000,
        jitter: 10_000,
        loss: 0,
        burst_loss: Some("1%:8"),
        queue: QueueSize::Bdp(1.0),
    },
    Preset {
        name: "satellite",
        about: "a dish under one geostationary satellite",
        source: "RFC 2488 section 2: 558 ms round trip in space; 25 Mbit/s down, 3 up as sold to homes",
        rates: [3_000, 25_000],
        round_trip: 600_000,
        jitter: 5_000,
        loss: 100,
        burst_loss: None,
        queue: QueueSize::Bdp(1.0),
    },
    Preset {
        name: "terrible",
        about: "what hardly works at all",
        source: "\"Very Bad Network\" of Apple's Network Link Conditioner: 1 Mbit/s, 500 ms each way, 10 % loss",
        rates: [1_000, 1_000],
        round_trip: 1_000_000,
        jitter: 0,
        loss: 10_000,
        burst_loss: None,
        queue: QueueSize::Bdp(1.0),
    },
];
