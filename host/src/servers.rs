//! Which servers a client asks.

use std::env;
use std::io::{self, Error};
use std::net::SocketAddr;

use clap::Args;
use coracle::Server;

use crate::cli::MAX_NODES;
use crate::roster::{address_like, any_address, loopback};

/// How a client is told of the servers.
#[derive(Args, Clone, Debug, Default)]
pub struct ServersArguments {
    /// Nodes to ask; one is enough while it runs [default: those in CORACLE_SERVERS, or else the
    /// ports 50051 to 50055 of this machine]
    #[arg(long, value_name = "HOST:PORT,...")]
    servers: Option<String>,
}

impl ServersArguments {
    /// The servers, looked up.
    ///
    /// # Errors
    /// When an address is none, is not found, or is given twice.
    pub fn look_up(&self) -> io::Result<Vec<Server<SocketAddr>>> {
        if let Some(names) = &self.servers {
            return look_up(names);
        }
        match env::var(VARIABLE) {
            Ok(names) => look_up(&names)
                .map_err(|error| Error::new(error.kind(), format!("{VARIABLE}: {error}"))),
            Err(env::VarError::NotPresent) => Ok(PORTS.map(loopback).map(server).collect()),
            Err(error) => Err(Error::other(format!("{VARIABLE}: {error}"))),
        }
    }

    /// The same arguments again, for whoever is told to repeat a command.
    pub fn repeated(&self) -> String {
        let plain = |names: &String| names.split_whitespace().collect::<String>();
        self.servers.as_ref().map_or_else(String::new, |it| format!(" --servers {}", plain(it)))
    }
}

/// Looks up addresses that are separated by commas: all of one family, since a client has one
/// socket.
///
/// # Errors
/// When an address is none, is not found, or is given twice.
pub fn look_up(names: &str) -> io::Result<Vec<Server<SocketAddr>>> {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    if names.len() > MAX_NODES {
        return Err(Error::other(format!("there are more than {MAX_NODES} servers")));
    }
    let mut servers: Vec<Server<SocketAddr>> = Vec::with_capacity(names.len());
    for name in names {
        let address = match servers.first() {
            Some(first) => address_like(name, first.address)?,
            None => any_address(name)?,
        };
        if servers.iter().any(|other| other.address == address) {
            return Err(Error::other(format!("the server {address} is given twice")));
        }
        servers.push(server(address));
    }
    Ok(servers)
}

/// A server of which only the address is known.
pub const fn server(address: SocketAddr) -> Server<SocketAddr> {
    Server { address, id: None }
}

const VARIABLE: &str = "CORACLE_SERVERS";
const PORTS: std::ops::RangeInclusive<u16> = 50051..=50055;

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(names: &str) -> Result<Vec<String>, String> {
        let servers = look_up(names).map_err(|error| error.to_string())?;
        Ok(servers.iter().map(|server| server.address.to_string()).collect())
    }

    #[test]
    fn servers_are_separated_by_commas() {
        let expected = ["127.0.0.1:1", "127.0.0.2:2"].map(str::to_owned);
        assert_eq!(addresses("127.0.0.1:1, 127.0.0.2:2"), Ok(expected.into()));
        assert_eq!(addresses("[::1]:1"), Ok(vec!["[::1]:1".to_owned()]));
    }

    #[test]
    fn servers_that_are_none_say_why() {
        for (names, why) in [
            ("", ": it must have the form HOST:PORT"),
            ("127.0.0.1:1,", ": it must have the form HOST:PORT"),
            ("127.0.0.1:x", "127.0.0.1:x: the port must be a number from 1 to 65535"),
            ("127.0.0.1:1,127.0.0.1:1", "the server 127.0.0.1:1 is given twice"),
            ("127.0.0.1:1,[::1]:1", "[::1]:1 has no IPv4 address"),
        ] {
            let error = addresses(names).unwrap_err();
            assert!(error.starts_with(why), "{names}: {error}");
        }
        let many: Vec<String> = (1..=33).map(|port| format!("127.0.0.1:{port}")).collect();
        assert!(addresses(&many.join(",")).unwrap_err().contains("more than 32"));
        assert_eq!(addresses(&many[..32].join(",")).map(|all| all.len()), Ok(32));
    }
}
