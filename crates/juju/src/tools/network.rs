//! Addresses.

use serde::{Deserialize, Deserializer};

use super::Tools;
use crate::error::Result;
use crate::names::RelationId;

/// Addresses for one binding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Network {
    /// Interfaces of the machine in the binding's space, the preferred one first.
    #[serde(deserialize_with = "null_as_empty")]
    pub bind_addresses: Vec<Interface>,
    /// Addresses others reach this unit at, the preferred one first; may be host names or belong to
    /// a gateway.
    #[serde(deserialize_with = "null_as_empty")]
    pub ingress_addresses: Vec<String>,
    /// Networks this unit's own connections come from.
    #[serde(deserialize_with = "null_as_empty")]
    pub egress_subnets: Vec<String>,
}

/// An interface and its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Interface {
    /// Its name, such as `eth0`; may be empty.
    pub interface_name: String,
    /// Its hardware address; may be empty.
    pub mac_address: String,
    /// Its addresses.
    #[serde(deserialize_with = "null_as_empty")]
    pub addresses: Vec<InterfaceAddress>,
}

/// An address of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InterfaceAddress {
    /// The IP address.
    pub value: String,
    /// The name it was found by, if any.
    pub hostname: String,
    /// Its network; may be empty.
    pub cidr: String,
}

/// Which of the machine's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// The one inside the cloud.
    Private,
    /// The one outside.
    Public,
}

impl Network {
    /// The address to listen on.
    pub fn bind_address(&self) -> Option<&str> {
        let addresses = self.bind_addresses.iter().flat_map(|interface| &interface.addresses);
        first(addresses.map(|address| &address.value))
    }

    /// The address to tell others.
    pub fn ingress_address(&self) -> Option<&str> {
        first(self.ingress_addresses.iter())
    }
}

impl Tools {
    /// Addresses for a binding, that is an endpoint or an extra binding:
    /// `network-get --format=json [-r ID] BINDING`. With a relation the ingress addresses are the
    /// ones for its other side.
    pub fn network_get(&self, binding: &str, relation: Option<&RelationId>) -> Result<Network> {
        let call = self.call("network-get").arg("--format=json").option("-r", relation);
        let network: Option<Network> = call.name(binding)?.json()?;
        Ok(network.unwrap_or_default())
    }

    /// An address of the machine, where `network-get` knows none:
    /// `unit-get --format=json private-address|public-address`. Deprecated by Juju and still there.
    pub fn unit_get(&self, kind: AddressKind) -> Result<Option<String>> {
        let key = match kind {
            AddressKind::Private => "private-address",
            AddressKind::Public => "public-address",
        };
        let address: Option<String> = self.call("unit-get").args(["--format=json", key]).json()?;
        Ok(address.filter(|address| !address.is_empty()))
    }
}

fn first<'a>(mut addresses: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    addresses.find(|address| !address.is_empty()).map(String::as_str)
}

/// Juju writes a list without elements as null in places.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
