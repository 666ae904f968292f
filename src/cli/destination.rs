//! Where to send: `HOST`, `HOST:PORT`, `[IPV6]:PORT`.

use crate::base::text::{escape, show_error};
use crate::net::DEFAULT_PORT;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// A listener on some machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    host: String,
    port: u16,
}

impl Destination {
    /// Reads what a person typed. All digits after the colon are a port; anything else is a path for
    /// ssh, which is not there yet.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => {
                let number = port.parse().ok().filter(|port| *port != 0);
                number.ok_or_else(|| format!("{port} is no port; ports are 1 to 65535"))?
            }
        };
        let is_clean = !host.is_empty()
            && !host.starts_with('-')
            && !host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/');
        if !is_clean {
            return Err(format!("\"{}\" is no host", escape(host)));
        }
        Ok(Self { host: host.to_owned(), port })
    }

    /// The addresses of the host, IPv4 and IPv6 as the system prefers them.
    ///
    /// # Errors
    /// A sentence that says that there is none.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, String> {
        let host = &self.host;
        let found = (host.as_str(), self.port).to_socket_addrs();
        let addresses: Vec<SocketAddr> = found
            .map_err(|error| {
                format!("cannot find host \"{}\": {}", escape(host), show_error(&error))
            })?
            .collect();
        if addresses.is_empty() {
            return Err(format!("host \"{host}\" has no address"));
        }
        Ok(addresses)
    }
}

/// Host and port as they stand there.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let wrong = || format!("write an IPv6 address with a port as [2001:db8::7]:{DEFAULT_PORT}");
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
        Some((host, path)) => Err(format!(
            "\"{}\" after the colon is no port, and starting a receiver over ssh (HOST:PATH) is \
             not there yet; start `volley recv` there and write {}:PORT",
            escape(path),
            escape(host)
        )),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a local address with or without a port.
///
/// # Errors
/// A sentence that says how one is written.
pub fn parse_bind(text: &str) -> Result<(IpAddr, Option<u16>), String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok((address.ip(), Some(address.port())));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse();
    address.map(|ip| (ip, None)).map_err(|_| {
        let text = escape(text);
        format!("\"{text}\" is no address of this machine; write for example 192.168.1.5")
    })
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

    #[test]
    fn bind_addresses_read() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(parse_bind("10.0.0.1"), Ok((ip("10.0.0.1"), None)));
        assert_eq!(parse_bind("10.0.0.1:9"), Ok((ip("10.0.0.1"), Some(9))));
        assert_eq!(parse_bind("::1"), Ok((ip("::1"), None)));
        assert_eq!(parse_bind("[::1]"), Ok((ip("::1"), None)));
        assert_eq!(parse_bind("[::1]:9"), Ok((ip("::1"), Some(9))));
        assert!(parse_bind("localhost").is_err());
    }
}
