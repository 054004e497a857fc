//! Ports that the firewall lets through once the application is exposed.

use std::fmt;
use std::str::FromStr;

use super::Tools;
use crate::error::{Error, Result};
use crate::names::ParseError;

/// A port or a range of ports: `2379/tcp`, `8000-8010/udp`, `icmp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    from: u16,
    to: u16,
    protocol: Protocol,
}

/// A protocol of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, which has no ports.
    Icmp,
}

impl Port {
    /// One TCP port.
    pub const fn tcp(port: u16) -> Self {
        Self { from: port, to: port, protocol: Protocol::Tcp }
    }

    /// The first port; 0 for ICMP.
    pub fn from(&self) -> u16 {
        self.from
    }

    /// The last port; 0 for ICMP.
    pub fn to(&self) -> u16 {
        self.to
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Icmp => return f.write_str("icmp"),
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        match (self.from, self.to) {
            (from, to) if from == to => write!(f, "{from}/{protocol}"),
            (from, to) => write!(f, "{from}-{to}/{protocol}"),
        }
    }
}

impl FromStr for Port {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| ParseError::new("a port, such as `2379/tcp`", text))
    }
}

fn parse(text: &str) -> Option<Port> {
    if text == "icmp" {
        return Some(Port { from: 0, to: 0, protocol: Protocol::Icmp });
    }
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (0 < from && from <= to).then_some(Port { from, to, protocol })
}

impl Tools {
    /// Opens a port when the hook ends: `open-port SPEC`. Opening twice is fine.
    pub fn open_port(&self, port: Port) -> Result<()> {
        self.call("open-port").arg(port.to_string()).done()
    }

    /// Closes a port when the hook ends: `close-port SPEC`.
    pub fn close_port(&self, port: Port) -> Result<()> {
        self.call("close-port").arg(port.to_string()).done()
    }

    /// Ports that this unit has open: `opened-ports --format=json`.
    pub fn opened_ports(&self) -> Result<Vec<Port>> {
        let tool = "opened-ports";
        let ports: Option<Vec<String>> = self.call(tool).arg("--format=json").json()?;
        let not_understood =
            |error: ParseError| Error::NotUnderstood { tool, why: error.to_string() };
        ports.unwrap_or_default().iter().map(|port| port.parse().map_err(not_understood)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_print_as_they_were_read() {
        for text in ["2379/tcp", "53/udp", "8000-8010/tcp", "icmp"] {
            assert_eq!(text.parse::<Port>().unwrap().to_string(), text);
        }
        assert_eq!("2379".parse(), Ok(Port::tcp(2379)));
        for text in ["", "0/tcp", "9-8/tcp", "1/sctp", "70000/tcp", "1-/tcp", "x"] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }
}
