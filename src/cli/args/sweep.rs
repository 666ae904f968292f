//! What can be typed after `--sweep`: a setting, and its values as a range with a step or a factor, or as
//! a list.

use crate::base::time::Duration;
use crate::base::units::{Rate, Share, parse_duration};
use crate::cli::args::Simulate;
use std::str::FromStr;

/// Values of one sweep.
const POINTS_MAX: usize = 200;

/// A setting that can be varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    /// Of one way, in nanoseconds.
    Delay,
    /// In billionths.
    Loss,
    /// In bits per second.
    Rate,
    /// In nanoseconds.
    Timeout,
    /// In frames.
    Window,
}

/// The settings by the names of their options.
const PARAMETERS: [(&str, Parameter); 5] = [
    ("loss", Parameter::Loss),
    ("delay", Parameter::Delay),
    ("rate", Parameter::Rate),
    ("window", Parameter::Window),
    ("timeout", Parameter::Timeout),
];

/// A setting and its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// What is varied.
    pub parameter: Parameter,
    /// Its values in its smallest unit, rising; at least two.
    pub values: Vec<u64>,
    /// Whether each is a multiple of the one before.
    pub is_geometric: bool,
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = PARAMETERS.map(|(name, _)| name).join(", ");
        let (name, values) = text.split_once('=').ok_or_else(|| {
            format!("write one of {names}, and its values, such as loss=0%..30%:5%")
        })?;
        let found = PARAMETERS.iter().find(|(known, _)| *known == name.trim());
        let parameter = found.ok_or_else(|| format!("what can be varied is {names}"))?.1;
        let (values, is_geometric) = match values.split_once("..") {
            Some((from, rest)) => parameter.range(from, rest)?,
            None => (parameter.list(values)?, false),
        };
        match values.len() {
            0 | 1 => Err(format!(
                "that is only one value; write two at least, such as {}",
                parameter.example()
            )),
            2..=POINTS_MAX => Ok(Self { parameter, values, is_geometric }),
            _ => Err(format!("more than {POINTS_MAX} values; take larger steps")),
        }
    }
}

impl Parameter {
    /// The name of its option, without dashes.
    #[must_use]
    pub fn name(self) -> &'static str {
        PARAMETERS.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// Whether its own option is given too.
    #[must_use]
    pub fn is_set(self, asked: &Simulate) -> bool {
        match self {
            Self::Delay => asked.link.way.delay.is_some(),
            Self::Loss => asked.link.way.loss.is_some(),
            Self::Rate => asked.link.way.rate.is_some(),
            Self::Timeout => asked.timeout.is_some(),
            Self::Window => asked.window.is_some(),
        }
    }

    /// Sets it, as its own option would.
    pub fn set(self, value: u64, asked: &mut Simulate) {
        match self {
            Self::Delay => asked.link.way.delay = Some(Duration::from_nanos(value)),
            Self::Loss => asked.link.way.loss = Some(Share::new(value as f64 / BILLION)),
            Self::Rate => asked.link.way.rate = Some(Rate::from_bits_per_second(value)),
            Self::Timeout => asked.timeout = Some(Duration::from_nanos(value)),
            Self::Window => asked.window = Some(u32::try_from(value).unwrap_or(u32::MAX)),
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Delay => "delay=10ms..100ms:10ms",
            Self::Loss => "loss=0%..30%:5%",
            Self::Rate => "rate=1Mbit..64Mbit:x2",
            Self::Timeout => "timeout=50ms..200ms:10ms",
            Self::Window => "window=1..64:x2",
        }
    }

    /// A range and its step or factor, after the dots.
    fn range(self, from: &str, rest: &str) -> Result<(Vec<u64>, bool), String> {
        let example = self.example();
        let (to, step) = rest
            .split_once(':')
            .ok_or_else(|| format!("how far apart? add a step or a factor, as in {example}"))?;
        let (first, last) = (self.read(from)?, self.read(to.trim_start_matches('='))?);
        if first >= last {
            return Err(format!("a range goes from the smaller value to the larger: {example}"));
        }
        if let Some(factor) = step.trim().strip_prefix('x') {
            let factor: f64 = factor.parse().unwrap_or(0.0);
            if !(1.01..=1e6).contains(&factor) || first == 0 {
                let text = "a factor is 1.01 at least, and goes with a range that begins above 0, \
                            such as window=1..64:x2";
                return Err(text.into());
            }
            return Ok((multiples(first, last, factor), true));
        }
        let step = self.read(step)?;
        if step == 0 {
            return Err(format!("a step of nothing leads nowhere; write one as in {example}"));
        }
        let steps = (first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        Ok((steps.take(POINTS_MAX + 1).collect(), false))
    }

    /// Values with commas between them, in rising order.
    fn list(self, text: &str) -> Result<Vec<u64>, String> {
        let values: Result<Vec<u64>, String> = text.split(',').map(|one| self.read(one)).collect();
        let mut values = values?;
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is small")]
    fn read(self, text: &str) -> Result<u64, String> {
        let text = text.trim();
        let nanos = |text| {
            let nanos = parse_duration(text).map_err(|error| error.to_string())?.as_nanos();
            u64::try_from(nanos).map_err(|_| "that is too long; write a shorter time".to_owned())
        };
        match self {
            Self::Delay | Self::Timeout => nanos(text),
            Self::Loss => {
                let share: Share = text.parse().map_err(|error| format!("{error}"))?;
                Ok((share.get() * BILLION).round() as u64)
            }
            Self::Rate => {
                let rate: Rate = text.parse().map_err(|error| format!("{error}"))?;
                Ok(rate.bits_per_second())
            }
            Self::Window => {
                let frames = text.parse().ok().filter(|frames| (1..=65_536).contains(frames));
                frames.ok_or_else(|| "write a number of frames from 1 to 65536".into())
            }
        }
    }
}

/// A share is counted in these.
pub const BILLION: f64 = 1e9;

/// From the first to the last value by that factor, rounded; what rounds to the same is one value.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `last`")]
fn multiples(first: u64, last: u64, factor: f64) -> Vec<u64> {
    let powers = std::iter::successors(Some(first as f64), |value| Some(value * factor));
    let within = powers.take_while(|value| value.round() <= last as f64);
    let mut values: Vec<u64> = within.map(|value| value.round() as u64).collect();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn values(text: &str) -> Vec<u64> {
        text.parse::<Sweep>().unwrap().values
    }

    #[test]
    fn a_sweep_is_a_range_with_a_step_or_a_factor_or_a_list() {
        let percent = |share: u64| share * 10_000_000;
        assert_eq!(values("loss=0%..30%:10%"), [0, 10, 20, 30].map(percent));
        assert_eq!(values("loss=0%..30%:7%"), [0, 7, 14, 21, 28].map(percent));
        assert_eq!(values("loss=5%,0%,1%,5%"), [0, 1, 5].map(percent));
        assert_eq!(values("delay=1ms..3ms:1ms"), [1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(values("rate=1Mbit..100Mbit:x10"), [1_000_000, 10_000_000, 100_000_000]);
        assert_eq!(values("window=1..10:x2"), [1, 2, 4, 8]);
        assert_eq!(values("window=1..5:x1.3"), [1, 2, 3, 4, 5]);
        assert_eq!(values("timeout=1s..=3s:1s").len(), 3);
        assert!("rate=1Mbit..4Mbit:x2".parse::<Sweep>().unwrap().is_geometric);
    }

    #[test]
    fn a_value_is_what_its_own_option_makes_of_it() {
        for percent in 0..=100_u32 {
            let typed: Share = format!("{percent}%").parse().unwrap();
            let value = Parameter::Loss.read(&format!("{percent}%")).unwrap();
            assert_eq!(Share::new(value as f64 / BILLION), typed, "{percent}");
        }
    }

    #[test]
    fn what_leads_nowhere_says_what_to_write() {
        for (text, words) in [
            ("loss", "loss=0%..30%:5%"),
            ("jitter=1ms..2ms:1ms", "what can be varied"),
            ("loss=0%..30%", "add a step"),
            ("loss=30%..0%:5%", "from the smaller"),
            ("loss=0%..30%:0%", "leads nowhere"),
            ("loss=0%..30%:5", "unit"),
            ("loss=0%..30%:x2", "above 0"),
            ("window=1..64:x1", "1.01 at least"),
            ("window=1..64:x", "1.01 at least"),
            ("window=0..64:1", "from 1 to 65536"),
            ("window=1..65536:1", "more than 200"),
            ("loss=5%", "only one value"),
            ("loss=5%..6%:5%", "only one value"),
            ("loss=", "percentage"),
        ] {
            let error = text.parse::<Sweep>().expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
