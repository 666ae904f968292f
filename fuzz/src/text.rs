//! What people type, and the names that peers propose.

use std::net::IpAddr;
use volley::base::text::escape;
use volley::base::time::Duration;
use volley::base::units::{Rate, Share, parse_duration, parse_size, show_duration, show_size};
use volley::cli::args::sweep::Sweep;
use volley::cli::destination::{Destination, parse_bind};
use volley::transfer::name::{FileName, NAME_MAX, PARTIAL_AREA};

/// Names of files.
pub(crate) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let escaped = escape(&text);
    assert!(!escaped.chars().any(char::is_control), "{escaped:?}");
    match FileName::parse(&text) {
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error}"),
        Ok(name) => {
            let text = name.as_str();
            assert!(!text.is_empty() && text.len() <= NAME_MAX);
            assert!(
                !text.contains(['/', '\\', '\0']) && ![".", "..", PARTIAL_AREA].contains(&text)
            );
            assert_eq!(FileName::parse(text), Ok(name.clone()));
            let path = std::path::Path::new("directory").join(text);
            assert_eq!(path.file_name(), Some(text.as_ref()), "one component and nothing else");
        }
    }
}

/// Shares, rates, times, sizes, sweeps, addresses.
pub(crate) fn quantities(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    if let Ok(share) = text.parse::<Share>() {
        let again: Share = share.to_string().parse().expect("it reads what it shows");
        assert!((again.get() - share.get()).abs() < 1e-4, "{share:?} {again:?}");
    }
    if let Ok(rate) = text.parse::<Rate>() {
        let again: Rate = rate.to_string().parse().expect("it reads what it shows");
        let (bits, shown) = (rate.bits_per_second(), again.bits_per_second());
        assert!(is_close(bits, shown), "{rate:?} {again:?}");
    }
    if let Ok(size) = parse_size(text) {
        let again = parse_size(&show_size(size)).expect("it reads what it shows");
        assert!(is_close(size, again), "{size} {again}");
    }
    if let Ok(span) = parse_duration(text) {
        let shown = show_duration(span);
        // Longer ones are shown in two units.
        if span < Duration::from_secs(99) {
            let again = parse_duration(&shown).expect("it reads what it shows");
            assert!(span.abs_diff(again) <= span / 100 + Duration::from_micros(1), "{span:?}");
        }
    }
    if let Ok(sweep) = text.parse::<Sweep>() {
        assert!((2..=200).contains(&sweep.values.len()), "{sweep:?}");
        assert!(sweep.values.is_sorted_by(|one, next| one < next), "{sweep:?}");
    }
    let _ = Destination::parse(text);
    if let Ok((ip, port)) = parse_bind(text) {
        let again = match (ip, port) {
            (IpAddr::V6(ip), Some(port)) => format!("[{ip}]:{port}"),
            (ip, Some(port)) => format!("{ip}:{port}"),
            (ip, None) => ip.to_string(),
        };
        assert_eq!(parse_bind(&again), Ok((ip, port)));
    }
}

/// Within what three digits leave out.
fn is_close(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one / 100 + 1
}
