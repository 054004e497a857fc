//! Reading the whole database at start-up.

use api::etcdserverpb::{AlarmMember, Member};
use prost::Message;
use rusqlite::Connection;
use store::{LeaseId, Loader, MemberAttributes, MemberId, Options, Store};

use super::history::read_row;
use super::{Backend, BackendError, schema};

impl Backend {
    /// The store as of the last commit, in one scan in order of revision. Called at start-up and
    /// after a snapshot was installed, while nothing is enqueued. Blocks.
    ///
    /// # Errors
    /// When the database cannot be read or holds a damaged row.
    pub fn load(&self, options: Options) -> Result<Store, BackendError> {
        let generation = self.generation();
        let connection = schema::open_reader(&generation.path)?;
        read_all(&connection, options)
            .map_err(|error| BackendError::sqlite("reading", &generation.path, &error))
    }
}

fn read_all(connection: &Connection, options: Options) -> rusqlite::Result<Store> {
    connection.execute_batch("BEGIN")?;
    let mut loader = Store::loader(options);
    load_meta(connection, &mut loader)?;
    load_leases(connection, &mut loader)?;
    load_alarms(connection, &mut loader)?;
    load_members(connection, &mut loader)?;
    let mut statement =
        connection.prepare("SELECT main, sub, kind, record FROM rev ORDER BY main, sub")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (revision, kind, record) = read_row(row)?;
        loader.row(revision, kind, record);
    }
    Ok(loader.finish())
}

fn load_meta(connection: &Connection, loader: &mut Loader) -> rusqlite::Result<()> {
    if let Some(revision) = schema::meta(connection, schema::META_COMPACTED)? {
        loader.compacted(revision);
    }
    if let Some(revision) = schema::meta(connection, schema::META_CURRENT)? {
        loader.current_revision(revision);
    }
    if let Some(version) = schema::meta(connection, schema::META_CLUSTER_VERSION)? {
        loader.cluster_version(version);
    }
    Ok(())
}

fn load_leases(connection: &Connection, loader: &mut Loader) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT id, ttl_s FROM lease ORDER BY id")?;
    let mut leases = statement.query([])?;
    while let Some(lease) = leases.next()? {
        loader.lease(LeaseId(lease.get(0)?), lease.get(1)?);
    }
    Ok(())
}

fn load_alarms(connection: &Connection, loader: &mut Loader) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT member, kind FROM alarm")?;
    let mut alarms = statement.query([])?;
    while let Some(alarm) = alarms.next()? {
        let member_id = alarm.get::<_, i64>(0)?.cast_unsigned();
        loader.alarm(AlarmMember { member_id, alarm: alarm.get(1)? });
    }
    Ok(())
}

fn load_members(connection: &Connection, loader: &mut Loader) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT id, attributes FROM member")?;
    let mut members = statement.query([])?;
    while let Some(member) = members.next()? {
        let attributes = Member::decode(member.get_ref(1)?.as_blob()?).map_err(|error| {
            let kind = rusqlite::types::Type::Blob;
            rusqlite::Error::FromSqlConversionFailure(1, kind, Box::new(error))
        })?;
        loader.member(MemberAttributes {
            member: MemberId(member.get::<_, i64>(0)?.cast_unsigned()),
            name: attributes.name,
            client_urls: attributes.client_ur_ls,
        });
    }
    Ok(())
}
