//! The words of `volley send`, `share` and `get`: files and hosts. People forget the one, swap the other,
//! and misspell both.

use super::Stop;
use super::complaint::nearest;
use super::destination::Destination;
use super::stdin;
use crate::base::text::escape_os;
use crate::transfer::outcome::{Failure, Reason};
use std::path::{Path, PathBuf};

/// Names of a directory that are looked at for one that was meant.
const NEIGHBOURS_MAX: usize = 10_000;

/// Takes the words apart.
///
/// # Errors
/// There is no destination, nothing to send to it, or a file that is not there.
pub fn split(words: &[PathBuf]) -> Result<(Vec<PathBuf>, Destination), Stop> {
    let (last, paths) = words.split_last().expect("clap wants at least one");
    let shown = show(last);
    let destination = match last.to_str() {
        Some(text) => Destination::parse(text),
        None => Err(format!("\"{shown}\" is no host; a host is plain text")),
    };
    if let Some(fault) = fault(paths, last, &destination) {
        return Err(Stop::Usage(fault));
    }
    let destination = destination.map_err(Stop::Usage)?;
    if let Some(missing) = paths.iter().find(|path| is_missing(path)) {
        return Err(missing_failure(missing).into());
    }
    Ok((paths.to_vec(), destination))
}

/// Looks at the paths of `volley share`.
///
/// # Errors
/// One of them is a host, or not there.
pub fn check_offer(paths: &[PathBuf]) -> Result<(), Stop> {
    let Some(missing) = paths.iter().find(|path| is_missing(path)) else {
        return Ok(());
    };
    if looks_like_a_host(missing) {
        let host = show(missing);
        return Err(Stop::Usage(format!(
            "`volley share` waits for others and takes no host; leave {host} away, or bring the files \
             there with `volley send`"
        )));
    }
    Err(missing_failure(missing).into())
}

/// Where `volley get` is to get files from, into `directory` if one is named.
///
/// # Errors
/// The two are swapped, or it is no host.
pub fn source(text: &str, directory: Option<&Path>) -> Result<Destination, Stop> {
    let path = Path::new(text);
    let parsed = Destination::parse_source(text);
    let is_host = |found: &Destination| found.is_unmistakable() || found.resolve().is_ok();
    if path.exists() && !parsed.as_ref().is_ok_and(is_host) {
        let shown = show(path);
        let host = directory.filter(|host| is_missing(host) && looks_like_a_host(host));
        let host = host.map_or_else(|| "HOST".into(), show);
        return Err(Stop::Usage(format!(
            "{shown} is here and no known host; the host comes first; write: volley get {host} {shown}"
        )));
    }
    parsed.map_err(Stop::Usage)
}

/// What is wrong with the order of the words, or missing among them.
fn fault(
    paths: &[PathBuf],
    last: &Path,
    destination: &Result<Destination, String>,
) -> Option<String> {
    let shown = show(last);
    if last == Path::new(stdin::WORD) && paths.is_empty() {
        return Some("did you forget the destination? write: volley send - HOST".into());
    }
    let is_host = |found: &Destination| found.resolve().is_ok();
    if last.exists() && (paths.is_empty() || !destination.as_ref().is_ok_and(is_host)) {
        let host = paths.iter().find(|path| is_missing(path) && looks_like_a_host(path));
        if let Some(host) = host {
            let host = show(host);
            return Some(format!("the destination comes last; write: volley send {shown} {host}"));
        }
        let kind = if last.is_dir() { "directory" } else { "file" };
        return Some(format!(
            "did you forget the destination? {shown} is a {kind} here and no known host; write: \
             volley send {shown} HOST"
        ));
    }
    if paths.is_empty() {
        if let Err(fault) = destination {
            return Some(fault.clone());
        }
        return Some(format!("what is to be sent to {shown}? write: volley send FILE {shown}"));
    }
    let host = paths.last().filter(|host| is_missing(host) && looks_like_a_host(host))?;
    let is_port = last.to_str().is_some_and(|text| text.parse::<u16>().is_ok());
    is_port.then(|| {
        let host = show(host);
        format!("\"{shown}\" is no host; a port follows its host after a colon: {host}:{shown}")
    })
}

/// No file there, and what could be asked for.
fn looks_like_a_host(path: &Path) -> bool {
    path.to_str()
        .and_then(|text| Destination::parse(text).ok())
        .is_some_and(|d| d.is_unmistakable())
}

fn is_missing(path: &Path) -> bool {
    path != Path::new(stdin::WORD)
        && path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Says which file may have been meant.
fn missing_failure(path: &Path) -> Failure {
    let shown = show(path);
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let neighbours = std::fs::read_dir(parent.unwrap_or(Path::new("."))).into_iter().flatten();
    let names: Vec<String> = neighbours
        .take(NEIGHBOURS_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let hint = match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => {
            let near = parent.map_or_else(|| near.into(), |parent| parent.join(near));
            format!("did you mean {}?", show(&near))
        }
        None => "check the name, and the directory you are in".into(),
    };
    Failure::new(Reason::Source, format!("cannot read {shown}: No such file or directory; {hint}"))
}

fn show(path: &Path) -> String {
    escape_os(path)
}
