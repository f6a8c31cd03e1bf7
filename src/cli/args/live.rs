//! How a measurement is watched while it goes on.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct LiveArguments {
    /// A live view of the whole terminal: space pauses it, n ends the stage, q stops with a report
    #[arg(long, conflicts_with = "quiet")]
    pub(in crate::cli) live: bool,
    /// Serve `OpenMetrics` for Prometheus there, at /metrics, while it measures; a port alone is of this machine only
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = address)]
    pub(in crate::cli) metrics: Option<SocketAddr>,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse()
        .map_err(|_| "write a port, such as 9187, or an address with one, such as 0.0.0.0:9187".to_owned())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn a_port_alone_is_heard_of_on_this_machine_only() {
        for (text, read) in [
            ("9187", "127.0.0.1:9187"),
            ("0.0.0.0:9187", "0.0.0.0:9187"),
            ("[::1]:1", "[::1]:1"),
            ("0", "127.0.0.1:0"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Ok(read));
        }
        for text in ["", "localhost:9187", "99999", "127.0.0.1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
