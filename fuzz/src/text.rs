//! What people type, and the names that peers propose.

use std::net::IpAddr;
use volley::base::text::escape;
use volley::base::time::Duration;
use volley::base::units::{Rate, Share, parse_duration, parse_size, show_duration, show_size};
use volley::cli::args::sweep::Sweep;
use volley::cli::destination::Destination;
use volley::cli::local::parse_bind;
use volley::transfer::name::{DEPTH_MAX, NAME_MAX, PARTIAL_AREA, PATH_MAX, TreePath, link_fault};

/// Paths below the receiver's directory, and what links there may say.
pub(crate) fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let escaped = escape(&text);
    assert!(!escaped.chars().any(char::is_control), "{escaped:?}");
    match TreePath::parse(&text) {
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error}"),
        Ok(path) => {
            assert!(path.as_str().len() <= PATH_MAX && path.depth() < DEPTH_MAX);
            for name in path.as_str().split('/') {
                assert!(!name.is_empty() && name.len() <= NAME_MAX);
                assert!(!name.contains(['\\', '\0']) && ![".", "..", PARTIAL_AREA].contains(&name));
            }
            assert_eq!(TreePath::parse(path.as_str()), Ok(path.clone()));
            let below = std::path::Path::new("directory").join(path.as_str());
            assert_eq!(below.components().count(), path.depth() + 2, "names and nothing else");
        }
    }
    let link = TreePath::parse("a/b/link").expect("a path");
    if link_fault(&link, &text).is_none() {
        let mut depth = 2;
        for name in text.split('/') {
            assert!(!name.is_empty() && name != ".");
            depth += if name == ".." { -1 } else { 1 };
            assert!(depth >= 0, "{text:?} leads out");
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
    if let Ok(local) = parse_bind("--bind", text) {
        let zone = if local.zone == 0 { String::new() } else { format!("%{}", local.zone) };
        let again = match (local.ip, local.port) {
            (IpAddr::V6(ip), Some(port)) => format!("[{ip}{zone}]:{port}"),
            (ip, Some(port)) => format!("{ip}:{port}"),
            (ip, None) => format!("{ip}{zone}"),
        };
        assert_eq!(parse_bind("--bind", &again), Ok(local));
    }
}

/// Within what three digits leave out.
fn is_close(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one / 100 + 1
}
