//! What a congestion control reaches on a path that loses packets at random, by its formula: the
//! response functions of the literature. All hold for one flow whose rate loss alone holds back.

use crate::base::time::Duration;
use crate::base::units::Rate;

/// Bytes of the IPv4 and TCP headers of a segment, with the timestamp option.
const OVER_TCP: u64 = 52;

/// Bytes around the file in a full packet of volley's, in open mode: IPv4, UDP, our header and trailer.
const OVER_VOLLEY: u64 = 48;

/// File bytes in a full IPv4 packet of `mtu` bytes.
#[must_use]
pub fn payload(mtu: u16, is_tcp: bool) -> u64 {
    u64::from(mtu).saturating_sub(if is_tcp { OVER_TCP } else { OVER_VOLLEY }).max(1)
}

/// A path as the formulas see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossyPath {
    /// Payload bytes in a packet.
    pub payload: u64,
    /// The round-trip time.
    pub round_trip: Duration,
    /// The share of packets lost, each by itself; above 0.
    pub loss: f64,
}

/// A prediction and the formula that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Payload bits per second.
    pub rate: Rate,
    /// The formula, and where it stands.
    pub formula: &'static str,
}

impl LossyPath {
    /// The response of Reno (RFC 5681). Mathis et al., "The Macroscopic Behavior of the TCP Congestion
    /// Avoidance Algorithm", 1997: a window of sqrt(3/2)/sqrt(p) packets on average.
    #[must_use]
    pub fn reno(&self) -> Response {
        let formula = "MSS/RTT x 1.22/sqrt(p) (Mathis et al., 1997)";
        Response { rate: self.rate_of(self.reno_window()), formula }
    }

    /// The response of CUBIC, RFC 9438 5.1: with C = 0.4 and beta = 0.7 a window of
    /// 1.054 (RTT/p)^(3/4) packets on average, and never less than Reno's (4.3).
    #[must_use]
    pub fn cubic(&self) -> Response {
        let cubic = 1.054 * (self.round_trip.as_secs_f64() / self.loss).powf(0.75);
        let formula = if cubic > self.reno_window() {
            "MSS/RTT x 1.054 (RTT/p)^0.75 (RFC 9438 5.1)"
        } else {
            "MSS/RTT x 1.22/sqrt(p) (RFC 9438 4.3: no less than Reno)"
        };
        Response { rate: self.rate_of(cubic.max(self.reno_window())), formula }
    }

    fn reno_window(&self) -> f64 {
        1.5_f64.sqrt() / self.loss.sqrt()
    }

    /// The rate of a window of that many packets in each round trip.
    fn rate_of(&self, packets: f64) -> Rate {
        let second = Duration::from_secs(1);
        let bytes = packets * self.payload as f64 / self.round_trip.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates"
        )]
        Rate::of(bytes as u64, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mbit/s of Reno and CUBIC.
    fn predict(ms: u64, loss: f64) -> [f64; 2] {
        let round_trip = Duration::from_millis(ms);
        let path = LossyPath { payload: payload(1500, true), round_trip, loss };
        [path.reno(), path.cubic()].map(|response| response.rate.bits_per_second() as f64 / 1e6)
    }

    #[track_caller]
    fn assert_near(found: [f64; 2], expected: [f64; 2]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 0.05, "{found} for {expected}");
        }
    }

    #[test]
    fn the_formulas_give_the_printed_values() {
        assert_near(predict(10, 0.0001), [142.0, 142.0]);
        assert_near(predict(100, 0.01), [1.42, 1.42]);
        assert_near(predict(100, 0.0001), [14.2, 21.7]);
        assert_near(predict(600, 0.001), [0.748, 2.47]);
    }

    #[test]
    fn cubic_names_the_formula_that_rules() {
        let formula = |ms, loss| {
            let round_trip = Duration::from_millis(ms);
            LossyPath { payload: 1448, round_trip, loss }.cubic().formula
        };
        assert!(formula(10, 0.01).contains("4.3") && formula(600, 0.001).contains("5.1"));
    }
}
