//! From configured URLs to open sockets.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::net::TcpListener;

use crate::config::{Scheme, Url, Urls};
use crate::server::listener::bind;

/// Opens a socket for every URL; the same place named twice is opened once.
///
/// # Errors
/// One line that names the URL and what is wrong with it.
pub async fn open(urls: &[Url], options: &Urls) -> anyhow::Result<Vec<TcpListener>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for url in urls {
        let address = resolve(url).await?;
        if address.port() == 0 || !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
        .into_iter()
        .map(|address| bind(address, options.reuse_port).map_err(anyhow::Error::from))
        .collect()
}

async fn resolve(url: &Url) -> anyhow::Result<SocketAddr> {
    if url.scheme() != Scheme::Http {
        bail!("cannot listen on {url}: only http:// is served by this release");
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host((url.host(), url.port()))
        .await
        .with_context(|| format!("cannot listen on {url}: its host is not known here"))?
        .collect();
    // "localhost" is where clients look for 127.0.0.1 first.
    let best = found.iter().find(|address| address.is_ipv4()).or(found.first());
    best.copied().with_context(|| format!("cannot listen on {url}: its host has no address"))
}
