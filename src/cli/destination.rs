//! Where to send: `HOST`, `HOST:PORT`, `[IPV6]:PORT`.

use super::local::{no_interface, unknown_zone};
use crate::base::text::{escape, show_error};
use crate::net::{DEFAULT_PORT, Interrupt};
use crate::transfer::outcome::{Failure, Reason};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Between two looks at the interrupt.
const PATIENCE: Duration = Duration::from_millis(100);

/// A listener on some machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: String,
    port: u16,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", escape(&self.host), self.port),
        }
    }
}

impl Destination {
    /// Reads what a person typed. All digits after the colon are a port; anything else is a path for
    /// ssh, which is not there yet.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(fault) = fault(text) {
            return Err(fault);
        }
        let (host, port) = split(text).map_err(Fault::sentence)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => {
                let number = port.parse().ok().filter(|port| *port != 0);
                number.ok_or_else(|| format!("{port} is no port; write one from 1 to 65535"))?
            }
        };
        let is_clean = !host.is_empty()
            && !host.starts_with('-')
            && !host.chars().any(|c| c.is_whitespace() || c.is_control() || "/\\@,*?".contains(c));
        if !is_clean {
            let host = escape(host);
            return Err(format!("\"{host}\" is no host; write HOST or HOST:PORT"));
        }
        if host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) {
            return Err(format!(
                "{host} means every address of a machine and leads to none; write the other machine's, or \
                 localhost for this machine"
            ));
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// Reads where files are offered.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse_source(text: &str) -> Result<Self, String> {
        match split(text) {
            Err(Fault::Path { host, path }) if fault(text).is_none() => Err(format!(
                "\"{}\" after the colon is no port; `volley get` takes all that `volley share` \
                 offers there; write {host}",
                escape(path)
            )),
            _ => Self::parse(text),
        }
    }

    /// Whether it is an address or this machine: nothing that a file would be called.
    #[must_use]
    pub fn is_unmistakable(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok() || self.host == "localhost"
    }

    /// Reads `HOST:PORT` for a server that is not ours, and so has no usual port.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse_with_port(text: &str) -> Result<Self, String> {
        match split(text) {
            Ok((_, Some(_))) => Self::parse(text),
            _ => Err(format!(
                "\"{}\" is no server with a port; write for example 127.0.0.1:53 or [::1]:53",
                escape(text)
            )),
        }
    }

    /// The addresses of the host, IPv4 and IPv6 as the system prefers them.
    ///
    /// # Errors
    /// A sentence that says that there is none.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let host = escape(&self.host);
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let addresses: Vec<SocketAddr> = found.map_err(|error| self.unknown(&error))?.collect();
        if addresses.is_empty() {
            return Err(format!("host \"{host}\" has no address; write its address instead"));
        }
        Ok(addresses)
    }

    /// As [`Destination::resolve`], on a thread of its own: a name service that does not answer
    /// cannot be interrupted.
    ///
    /// # Errors
    /// There is no address, or the interrupt came first.
    pub fn resolve_unless(self, interrupt: &Interrupt) -> Result<Vec<SocketAddr>, Failure> {
        let (tell, resolved) = channel();
        std::thread::spawn(move || tell.send(self.resolve()));
        loop {
            match resolved.recv_timeout(PATIENCE) {
                Ok(resolved) => {
                    return resolved.map_err(|text| Failure::new(Reason::Unreachable, text));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let text = "the thread that asks the name service failed; try again";
                    return Err(Failure::new(Reason::Other, text));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(failure) = interrupt.failure() {
                        return Err(failure);
                    }
                }
            }
        }
    }

    fn unknown(&self, error: &io::Error) -> String {
        let host = escape(&self.host);
        if host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return format!("{host} is no IPv4 address; one is four numbers from 0 to 255");
        }
        if let Some(zone) = unknown_zone(&self.host) {
            return no_interface(zone);
        }
        let said = show_error(error);
        let said = said.trim_start_matches("failed to lookup address information: ");
        format!(
            "cannot find host \"{host}\" ({said}); check how it is written, or write its address"
        )
    }
}

/// What people type for a host that is none.
fn fault(text: &str) -> Option<String> {
    let shown = escape(text);
    if text == "-" {
        return Some("\"-\" is no host; name the files first, then HOST or HOST:PORT".into());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default();
        let host = if host.is_empty() { "HOST" } else { host };
        let scheme = escape(scheme);
        return Some(format!(
            "\"{shown}\" is no host; leave {scheme}:// away and write {}",
            escape(host)
        ));
    }
    if let Some((user, host)) = text.split_once('@')
        && !host.contains(':')
    {
        let (user, host) = (escape(user), escape(host));
        return Some(format!("\"{shown}\" is no host; leave {user}@ away and write {host}"));
    }
    if text.contains(']') && !text.starts_with('[') {
        return Some(format!(
            "\"{shown}\" is no host; an IPv6 address with a port is [2001:db8::7]:{DEFAULT_PORT}"
        ));
    }
    let (host, port) = text.rsplit_once(':')?;
    if host.is_empty() {
        let port = if is_digits(port) { escape(port) } else { "PORT".into() };
        let text = "there is no host before the colon";
        return Some(format!("\"{shown}\": {text}; write HOST:{port}"));
    }
    if port.is_empty() && !host.contains(':') {
        let host = escape(host);
        return Some(format!(
            "\"{shown}\": there is no port after the colon; write {host} or {host}:{DEFAULT_PORT}"
        ));
    }
    None
}

/// What stands in the place of a host and a port.
enum Fault<'a> {
    /// A path behind a host.
    Path { host: String, path: &'a str },
    /// Something else.
    Other(String),
}

impl Fault<'_> {
    fn sentence(self) -> String {
        match self {
            Self::Other(sentence) => sentence,
            Self::Path { host, path } => format!(
                "\"{}\" after the colon is no port, and starting a receiver over ssh (HOST:PATH) is \
                 not there yet; start `volley recv` there and write {host}:PORT",
                escape(path)
            ),
        }
    }
}

/// Host and port as they stand there.
fn split(text: &str) -> Result<(&str, Option<&str>), Fault<'_>> {
    if let Some(rest) = text.strip_prefix('[') {
        let wrong = || {
            let text = escape(text);
            Fault::Other(format!(
                "\"{text}\" is no host; an IPv6 address with a port is [2001:db8::7]:{DEFAULT_PORT}"
            ))
        };
        let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
        return match after.strip_prefix(':') {
            Some(port) if is_digits(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            _ => Err(wrong()),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok()
        || text.split_once('%').is_some_and(|(ip, _)| ip.contains("::"))
    {
        return Ok((text, None));
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((host, port)) if is_digits(port) => Ok((host, Some(port))),
        Some((_, port)) if port.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            let text = format!("\"{}\" is no port; write one from 1 to 65535", escape(port));
            Err(Fault::Other(text))
        }
        Some((host, path)) => {
            let host = escape(host.split_once('@').map_or(host, |(_, host)| host));
            Err(Fault::Path { host, path })
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16) {
        let Destination { host, port } = Destination::parse(text).expect(text);
        (host, port)
    }

    #[test]
    fn hosts_read_with_and_without_a_port() {
        for (text, host, port) in [
            ("example.org", "example.org", DEFAULT_PORT),
            ("example.org:9000", "example.org", 9000),
            ("192.0.2.7", "192.0.2.7", DEFAULT_PORT),
            ("192.0.2.7:1", "192.0.2.7", 1),
            ("2001:db8::7", "2001:db8::7", DEFAULT_PORT),
            ("[2001:db8::7]", "2001:db8::7", DEFAULT_PORT),
            ("[2001:db8::7]:9000", "2001:db8::7", 9000),
            ("fe80::1%eth0", "fe80::1%eth0", DEFAULT_PORT),
        ] {
            assert_eq!(parsed(text), (host.to_owned(), port));
        }
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        for text in [
            "",
            ":",
            ":7117",
            "host:",
            "host:0",
            "host:65536",
            "host:99999999999",
            "host:path",
            "user@host:dir",
            "host:./7117",
            "[::1",
            "[::1]x",
            "[::1]:path",
            "-oProxyCommand=x",
            "a b",
            "./file.txt",
            "dir/file",
        ] {
            assert!(Destination::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_after_the_colon_gets_a_sentence_about_ssh() {
        let error = Destination::parse("host:dir").expect_err("a path");
        assert!(error.contains("ssh") && error.contains("volley recv"), "{error}");
    }
}
