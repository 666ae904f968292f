//! What a relay did, as a few lines for a person.

use super::summary::{Way, push, show_counts, show_ways};
use crate::base::time::Duration;
use crate::base::units::{show_duration, show_size};

/// A relay that has ended.
#[derive(Clone, Debug)]
pub struct RelaySummary {
    /// Where it listened.
    pub listen: String,
    /// The server.
    pub to: String,
    /// From its beginning to its end.
    pub elapsed: Duration,
    /// From clients to the server.
    pub out: RelayWay,
    /// From the server to clients.
    pub back: RelayWay,
    /// What both drew from; nothing where the link did nothing.
    pub seed: Option<u64>,
    /// Clients there were.
    pub clients_ever: u64,
    /// Clients that were forgotten to make room for others.
    pub clients_displaced: u64,
    /// Datagrams that the server's machine refused.
    pub refused: u64,
    /// Datagrams that came out of the link and that the system would not send.
    pub unsent: u64,
    /// Why it would not send the last of them.
    pub unsent_because: Option<String>,
}

/// One direction of a relay.
#[derive(Clone, Debug)]
pub struct RelayWay {
    /// The link.
    pub way: Way,
    /// Datagrams that came out of it.
    pub delivered: u64,
    /// Their bytes, as IP packets.
    pub delivered_bytes: u64,
}

impl RelaySummary {
    /// The summary, one fact a line.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { listen, to, out, back, refused, unsent, .. } = self;
        let elapsed = show_duration(self.elapsed);
        let mut text = format!("relayed {listen} to {to} for {elapsed}");
        push(&mut text, "clients", &self.clients());
        if let Some(seed) = self.seed {
            let ways = show_ways(&out.way.config, &back.way.config, seed);
            push(&mut text, "link", &format!("{ways} (configured)"));
        }
        push(&mut text, "out", &show_way(out));
        push(&mut text, "back", &show_way(back));
        if *refused > 0 {
            let fact =
                format!("{refused} datagrams: nothing listened at {to}, or it is unreachable");
            push(&mut text, "refused", &fact);
        }
        if *unsent > 0 {
            let why = self.unsent_because.as_deref().unwrap_or("unknown");
            let fact = format!("{unsent} datagrams that this system would not send (last: {why})");
            push(&mut text, "not sent", &fact);
        }
        text
    }

    fn clients(&self) -> String {
        match (self.clients_ever, self.clients_displaced) {
            (ever, 0) => ever.to_string(),
            (ever, displaced) => format!("{ever}; {displaced} forgotten to make room for others"),
        }
    }
}

pub(super) fn show_way(way: &RelayWay) -> String {
    let counts = show_counts(&way.way.counts);
    format!("{counts}; {} of IP packets came out", show_size(way.delivered_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Share;
    use crate::link::{LinkConfig, LinkCounts, LossCounts};

    fn summary() -> RelaySummary {
        let lost = LossCounts { chance: 5, ..LossCounts::default() };
        let counts = LinkCounts { offered: 100, lost, ..LinkCounts::default() };
        let config = LinkConfig { loss: Share::new(0.05), ..LinkConfig::default() };
        let way = Way { config, counts };
        let way = RelayWay { way, delivered: 95, delivered_bytes: 9500 };
        RelaySummary {
            listen: "127.0.0.1:5300".into(),
            to: "127.0.0.1:53".into(),
            elapsed: Duration::from_secs(2),
            out: way.clone(),
            back: way,
            seed: Some(7),
            clients_ever: 3,
            clients_displaced: 0,
            refused: 0,
            unsent: 0,
            unsent_because: None,
        }
    }

    #[test]
    fn what_was_configured_stands_above_what_was_observed() {
        assert_eq!(
            summary().text(),
            "relayed 127.0.0.1:5300 to 127.0.0.1:53 for 2 s
  clients     3
  link        5 % loss each way, seed 7 (configured)
  out         5 of 100 datagrams lost, 5 %; 9.28 KiB of IP packets came out
  back        5 of 100 datagrams lost, 5 %; 9.28 KiB of IP packets came out"
        );
    }

    #[test]
    fn what_went_wrong_is_said_where_it_did() {
        let unsent_because = Some("Message too long".into());
        let plain = RelaySummary { seed: None, clients_displaced: 1, ..summary() };
        let text = RelaySummary { refused: 4, unsent: 2, unsent_because, ..plain }.text();
        for words in ["1 forgotten", "4 datagrams: nothing listened", "(last: Message too long)"] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains("seed"), "{text}");
    }
}
