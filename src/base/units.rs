//! Quantities as people write them: `5%`, `25ms`, `100Mbit`, `64KiB`.
//!
//! Rates are bits per second with SI prefixes (1 Mbit/s = 10^6 bit/s); sizes are bytes with IEC
//! prefixes (1 MiB = 2^20 B), and `MB` means 10^6 B. A bare number is refused: it hides a factor.

use crate::base::time::Duration;
use std::fmt;
use std::str::FromStr;

/// Why a quantity could not be read, as a sentence that says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    /// An error with that sentence.
    #[must_use]
    pub fn new(sentence: &str) -> Self {
        Self(sentence.to_owned())
    }
}

/// A share between 0 and 1, written as a percentage.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// No part at all.
    pub const ZERO: Self = Self(0.0);

    /// The share `part`, held between 0 and 1.
    #[must_use]
    pub fn new(part: f64) -> Self {
        Self(part.clamp(0.0, 1.0))
    }

    /// `part / whole`, or nothing where there is no whole.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 { Self::ZERO } else { Self::new(part as f64 / whole as f64) }
    }

    /// Between 0 and 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = format!("{:.2}", self.0 * 100.0);
        write!(f, "{} %", percent.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Share {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError("write a percentage between 0% and 100%, such as 5%".into());
        let bare = |number: &str| bare(number, &format!("a percentage, such as {number}%"));
        let percent = text.trim();
        let percent =
            percent.strip_suffix('%').ok_or_else(|| bare(percent).unwrap_or_else(wrong))?;
        let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
        if (0.0..=100.0).contains(&percent) { Ok(Self(percent / 100.0)) } else { Err(wrong()) }
    }
}

/// A rate in bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// `bits` per second.
    #[must_use]
    pub const fn from_bits_per_second(bits: u64) -> Self {
        Self(bits)
    }

    /// The rate at which `bytes` went by in `span`; zero for no time.
    #[must_use]
    pub fn of(bytes: u64, span: Duration) -> Self {
        let seconds = span.as_secs_f64();
        if seconds <= 0.0 {
            return Self(0);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float cast saturates"
        )]
        Self((bytes as f64 * 8.0 / seconds) as u64)
    }

    /// Bits per second.
    #[must_use]
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Bytes per second.
    #[must_use]
    pub fn bytes_per_second(self) -> f64 {
        self.0 as f64 / 8.0
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} bit/s", self.0),
            1_000..1_000_000 => write!(f, "{} kbit/s", three_digits(scaled / 1e3)),
            1_000_000..1_000_000_000 => write!(f, "{} Mbit/s", three_digits(scaled / 1e6)),
            _ => write!(f, "{} Gbit/s", three_digits(scaled / 1e9)),
        }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || {
            UnitError("write bits per second with a unit, such as 500kbit, 100Mbit, 1Gbit".into())
        };
        let lower = text.trim().to_ascii_lowercase();
        let lower = lower.strip_suffix("/s").unwrap_or(&lower);
        let (number, unit) = split_unit(lower);
        let factor = match unit {
            "bit" => 1.0,
            "kbit" => 1e3,
            "mbit" => 1e6,
            "gbit" => 1e9,
            "" => {
                let bits = format!("bits per second, such as {number}Mbit");
                return Err(bare(number, &bits).unwrap_or_else(wrong));
            }
            "b" | "kb" | "mb" | "gb" => {
                let text = "rates are in bits per second: write eight times as many bits, such as \
                            40Mbit for 5 MB/s";
                return Err(UnitError(text.into()));
            }
            _ => return Err(wrong()),
        };
        let bits = number.parse::<f64>().map_err(|_| wrong())? * factor;
        if !(1.0..=1e15).contains(&bits) {
            return Err(wrong());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 1..=1e15")]
        Ok(Self(bits as u64))
    }
}

/// Reads a span of time such as `250us`, `25ms`, `3s`, `2min`, `1h`.
///
/// # Errors
/// A sentence that says how a span is written.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = || UnitError("write a time with a unit, such as 500us, 25ms, 3s, 2min".into());
    let (number, unit) = split_unit(text.trim());
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "" => {
            let time = format!("a time, such as {number}ms or {number}s");
            return Err(bare(number, &time).unwrap_or_else(wrong));
        }
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<f64>().map_err(|_| wrong())? * seconds;
    if !(0.0..=1e9).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a number of bytes such as `900B`, `64KiB`, `5MB`, `1GiB`.
///
/// # Errors
/// A sentence that says how a size is written.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let wrong = || UnitError("write a size with a unit, such as 900B, 64KiB, 5MB, 1GiB".into());
    let (number, unit) = split_unit(text.trim());
    let factor = match unit.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
    if !(0.0..=1e15).contains(&bytes) {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=1e15")]
    Ok(bytes as u64)
}

/// A number of bytes as people read it: `0 B`, `1.5 KiB`, `100 MiB`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let scaled = bytes as f64;
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{} KiB", three_digits(scaled / 1024.0)),
        0x10_0000..0x4000_0000 => format!("{} MiB", three_digits(scaled / 1_048_576.0)),
        _ => format!("{} GiB", three_digits(scaled / 1_073_741_824.0)),
    }
}

/// A span as people read it: `85 us`, `25.1 ms`, `3.42 s`, `2 min 05 s`.
#[must_use]
pub fn show_duration(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 1e-3 {
        format!("{} us", span.as_micros())
    } else if seconds < 1.0 {
        format!("{} ms", three_digits(seconds * 1e3))
    } else if seconds < 100.0 {
        format!("{} s", three_digits(seconds))
    } else if seconds < 3600.0 {
        format!("{} min {:02} s", span.as_secs() / 60, span.as_secs() % 60)
    } else {
        format!("{} h {:02} min", span.as_secs() / 3600, span.as_secs() / 60 % 60)
    }
}

/// Three significant digits, without trailing zeros after the point.
fn three_digits(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// What is said of a number alone; nothing if it is none.
fn bare(number: &str, instead: &str) -> Option<UnitError> {
    let is_number = number.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0);
    is_number.then(|| UnitError(format!("it has no unit; write {instead}")))
}

fn split_unit(text: &str) -> (&str, &str) {
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    (text[..unit].trim(), &text[unit..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_back() {
        assert_eq!("5%".parse(), Ok(Share(0.05)));
        assert_eq!(" 0.5 % ".parse(), Ok(Share(0.005)));
        assert_eq!("100Mbit".parse(), Ok(Rate(100_000_000)));
        assert_eq!("1.5gbit/s".parse(), Ok(Rate(1_500_000_000)));
        assert_eq!(parse_duration("25ms"), Ok(Duration::from_millis(25)));
        assert_eq!(parse_duration("2min"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("5MB"), Ok(5_000_000));
    }

    #[test]
    fn what_hides_a_factor_or_makes_no_sense_is_refused() {
        for text in ["5", "0.05", "-1%", "101%", "%", "NaN%", "5 percent"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        for text in ["100", "100M", "0Mbit", "-5Mbit", "infMbit", "Mbit", "1e99Gbit"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["25", "ms", "-1s", "1 fortnight", "NaNs", "1e300s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["64", "KiB", "-1B", "1e99GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_print_with_three_digits() {
        assert_eq!(Share(0.05).to_string(), "5 %");
        assert_eq!(Share(0.04871).to_string(), "4.87 %");
        assert_eq!(Rate(93_400_000).to_string(), "93.4 Mbit/s");
        assert_eq!(Rate(2_500_000_000).to_string(), "2.5 Gbit/s");
        assert_eq!(show_size(100 << 20), "100 MiB");
        assert_eq!(show_size(1_536), "1.5 KiB");
        assert_eq!(show_size(0), "0 B");
        assert_eq!(show_duration(Duration::from_micros(25_130)), "25.1 ms");
        assert_eq!(show_duration(Duration::from_secs(125)), "2 min 05 s");
        assert_eq!(show_duration(Duration::from_secs(3_700)), "1 h 01 min");
    }

    #[test]
    fn a_rate_over_no_time_is_zero() {
        assert_eq!(Rate::of(1_000, Duration::ZERO), Rate(0));
        assert_eq!(Rate::of(1_000, Duration::from_millis(8)), Rate(1_000_000));
    }
}
