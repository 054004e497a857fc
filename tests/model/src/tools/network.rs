//! Tools about addresses and ports.

use serde_json::{Value, json};

use super::{Job, Outcome, Stop, failed, usage};
use crate::state::app_of;

pub(super) fn unit_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output"])?;
    args.at_most(1)?;
    match args.rest.first().map(String::as_str) {
        Some("private-address" | "public-address") => args.print(&address(job).into(), "smart"),
        Some(other) => usage(format!("unknown setting \"{other}\"")),
        None => usage("no setting specified"),
    }
}

fn address(job: &Job<'_>) -> String {
    job.state
        .machine_of(&job.context.unit)
        .map_or_else(String::new, |machine| machine.address.to_string())
}

pub(super) fn network_get(job: &mut Job<'_>) -> Outcome {
    let switches = ["bind-address", "ingress-address", "egress-subnets", "primary-address"];
    let args = job.args(&switches, &["format", "output", "relation"])?;
    let Some(binding) = args.rest.first() else { return usage("no arguments specified") };
    args.at_most(1)?;
    let charm = job.state.apps.get(app_of(&job.context.unit)).and_then(|app| app.charm.as_ref());
    let is_known = charm.is_some_and(|charm| {
        charm.endpoints.contains_key(binding) || charm.bindings.contains(binding)
    });
    if !is_known && binding != "juju-info" {
        return failed(format!("no network config found for binding \"{binding}\""));
    }
    let address = address(job);
    let subnet = format!("{address}/32");
    if args.is_set("bind-address")
        || args.is_set("primary-address")
        || args.is_set("ingress-address")
    {
        return args.print(&address.into(), "smart");
    }
    if args.is_set("egress-subnets") {
        return args.print(&json!([subnet]), "smart");
    }
    let place = json!({"hostname": "", "value": address, "cidr": "127.0.0.0/8"});
    let mut bind = json!({"mac-address": "", "interface-name": "lo", "addresses": [place]});
    if args.flag("format").is_none_or(|format| format != "json") {
        // Only the YAML form carries the old spellings (juju-surface 3.2).
        let old =
            json!({"hostname": "", "address": address, "value": address, "cidr": "127.0.0.0/8"});
        (bind["macaddress"], bind["interfacename"], bind["addresses"]) =
            (json!(""), json!("lo"), json!([old]));
    }
    args.print(&json!({"bind-addresses": [bind], "egress-subnets": [subnet], "ingress-addresses": [address]}), "smart")
}

pub(super) fn port(job: &mut Job<'_>, opens: bool) -> Outcome {
    let args = job.args(&[], &["endpoints", "format"])?;
    args.at_most(1)?;
    let Some(spec) = args.rest.first() else { return usage("no port or range specified") };
    let port = parse(spec)?;
    let pending = &mut job.context.pending;
    let (add, drop) = if opens {
        (&mut pending.opened, &mut pending.closed)
    } else {
        (&mut pending.closed, &mut pending.opened)
    };
    drop.retain(|other| *other != port);
    add.push(port);
    Ok(String::new())
}

fn parse(spec: &str) -> Result<String, Stop> {
    if spec == "icmp" {
        return Ok(spec.into());
    }
    let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match (number(from), number(to)) {
        (Some(low), Some(high)) if low <= high && ["tcp", "udp"].contains(&protocol) => {
            Ok(format!("{ports}/{protocol}"))
        }
        _ => usage(format!(
            "invalid port or range \"{spec}\"; expected <port>[/<protocol>] or <from>-<to>[/<protocol>] or icmp"
        )),
    }
}

/// Ports opened by committed hooks, as in Juju; what this hook does is not among them yet.
pub(super) fn opened_ports(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["endpoints"], &["format", "output"])?;
    args.at_most(0)?;
    let ports =
        job.state.units.get(&job.context.unit).map(|unit| unit.ports.clone()).unwrap_or_default();
    let shown: Vec<String> = ports
        .into_iter()
        .map(|port| if args.is_set("endpoints") { format!("{port} (*)") } else { port })
        .collect();
    args.print(&Value::from(shown), "smart")
}
