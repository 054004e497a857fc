//! Asks Juju, the agent and the machine for the facts. Changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

use juju::{AddressKind, Bag, Environment, Hook, Network, RelationEvent, Tools, UnitName};

use crate::agent::Agent;
use crate::error::Error;
use crate::facts::{Addresses, Facts, Peer, Resource};
use crate::files::FileError;
use crate::notes::Notes;
use crate::options::{Options, Source};
use crate::paths::Paths;
use crate::service::Service;

/// Length of a cluster token; 36 possible characters each.
const TOKEN_CHARS: usize = 16;

/// The characters of a cluster token.
const TOKEN_ALPHABET: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The peer endpoint.
const CLUSTER: &str = "cluster";

/// Gathers the facts for one hook.
///
/// # Errors
///
/// When Juju's own tools fail or the machine cannot be read. An agent that does not answer is a
/// fact.
pub fn gather(
    environment: &Environment,
    tools: &Tools,
    paths: &Paths,
    service: &Service,
    notes: &Notes,
) -> Result<Facts, Error> {
    let config = tools.config_get()?;
    let relation = environment.relation.as_ref();
    Ok(Facts {
        hook: environment.hook.clone(),
        unit: environment.unit.clone(),
        departing: relation.and_then(|relation| relation.departing_unit.clone()),
        now_s: now_s(),
        fresh_token: token()?,
        is_juju_leader: tools.is_leader()?,
        addresses: addresses(tools),
        options: Options::read(&config),
        source: Source::read(&config),
        peer: peer(environment, tools)?,
        goal: goal(tools),
        agent: Agent::new(paths).status()?,
        service: service.state()?,
        notes: notes.clone(),
        storage: storage(tools)?,
        has_local_data: paths.data().join("member").is_dir(),
        resource: resource(tools),
        paths: paths.clone(),
    })
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn token() -> Result<String, FileError> {
    let path = std::path::Path::new("/dev/urandom");
    let mut bytes = [0; TOKEN_CHARS];
    let read = |mut file: fs::File| file.read_exact(&mut bytes);
    fs::File::open(path).and_then(read).map_err(FileError::of("read", path))?;
    let character = |byte: u8| char::from(TOKEN_ALPHABET[usize::from(byte) % TOKEN_ALPHABET.len()]);
    Ok(bytes.into_iter().map(character).collect())
}

fn addresses(tools: &Tools) -> Addresses {
    // A binding without network configuration is answered with an error, early in a unit's life.
    let network = |binding: &str| tools.network_get(binding, None).unwrap_or_default();
    let unit = |kind| tools.unit_get(kind).ok().flatten();
    let private = || unit(AddressKind::Private);
    let bind = |network: &Network| network.bind_address().map(str::to_owned);
    let tell = |network: &Network| network.ingress_address().map(str::to_owned);
    let (peer, client) = (network(CLUSTER), network("client"));
    Addresses {
        peer_bind: bind(&peer),
        peer: tell(&peer).or_else(|| bind(&peer)).or_else(private),
        client_bind: bind(&client),
        client: tell(&client).or_else(|| bind(&client)),
        public: unit(AddressKind::Public),
    }
}

fn peer(environment: &Environment, tools: &Tools) -> Result<Option<Peer>, Error> {
    let Some(id) = tools.relation_ids(CLUSTER)?.into_iter().next() else { return Ok(None) };
    let own = &environment.unit;
    let bag = |unit: &UnitName| tools.relation_get(&id, &Bag::Unit(unit.clone()));
    let mut units = BTreeMap::new();
    for unit in tools.relation_list(&id)? {
        let texts = bag(&unit)?;
        units.insert(unit, texts);
    }
    let departed = match &environment.hook {
        Hook::Relation { endpoint, event: RelationEvent::Departed } if endpoint == CLUSTER => {
            let remote = environment.relation.as_ref().and_then(|one| one.remote_unit.as_ref());
            // Juju keeps the bag of a unit that went; should it not, there is nothing to remember.
            remote.filter(|unit| *unit != own).and_then(|unit| bag(unit).ok()).unwrap_or_default()
        }
        _ => BTreeMap::new(),
    };
    let app = tools.relation_get(&id, &Bag::App(own.app().to_owned()))?;
    let own = bag(own)?;
    Ok(Some(Peer { id, app, own, units, departed }))
}

/// `None` when Juju does not tell, for whatever reason: then nobody is missing.
fn goal(tools: &Tools) -> Option<BTreeMap<UnitName, bool>> {
    let state = tools.goal_state().ok()?;
    let units = state.units.into_iter().map(|(unit, goal)| (unit, goal.is_dying()));
    Some(units.collect()).filter(|units: &BTreeMap<_, _>| !units.is_empty())
}

fn storage(tools: &Tools) -> Result<Option<std::path::PathBuf>, Error> {
    let Some(id) = tools.storage_list(Some("data"))?.into_iter().next() else { return Ok(None) };
    Ok(Some(tools.storage_get(&id)?.location))
}

fn resource(tools: &Tools) -> Resource {
    let path = match tools.resource_get("release") {
        Ok(Some(path)) => path,
        Ok(None) => return Resource::None,
        Err(error) => return Resource::Unknown(error.to_string()),
    };
    match fs::metadata(&path) {
        // An empty file is how a resource is taken back.
        Ok(metadata) if metadata.len() == 0 => Resource::None,
        Ok(metadata) => {
            let stamp =
                format!("{}-{}.{}", metadata.len(), metadata.mtime(), metadata.mtime_nsec());
            Resource::File { path, stamp }
        }
        Err(error) => Resource::Unknown(format!("cannot read {}: {error}", path.display())),
    }
}
