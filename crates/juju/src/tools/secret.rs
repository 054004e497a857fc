//! Secrets (Juju 3 and later). Values travel in files and on standard output, never in arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use serde::Deserialize;

use super::secret_files::SecretFiles;
use super::{Scope, Tools, invalid};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::names::{RelationId, SecretId, UnitName};

/// Keys and values of a secret. Its debug output shows keys only.
///
/// A key begins with a lower-case letter, has at least three lower-case letters and digits, and
/// single hyphens between them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretContent(BTreeMap<String, String>);

/// What a secret has besides its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretOptions {
    /// A name of the owner's own.
    pub label: Option<String>,
    /// A text for people.
    pub description: Option<String>,
    /// When this revision expires: an RFC 3339 time or a duration such as `24h`.
    pub expire: Option<String>,
    /// How often Juju asks for a new revision.
    pub rotate: Option<Rotation>,
    /// Who owns it; for the application's the caller has to be Juju leader.
    pub owner: Scope,
}

/// How often Juju asks the owner for a new revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// Never.
    Never,
    /// Every hour.
    Hourly,
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every three months.
    Quarterly,
    /// Every year.
    Yearly,
}

/// How to name a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// By its id.
    Id(SecretId),
    /// By the caller's own label.
    Label(String),
}

/// Which revision a consumer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretView {
    /// The one it tracks.
    Tracked,
    /// The newest one, without tracking it.
    Peek,
    /// The newest one, tracked from now on.
    Refresh,
}

/// What the owner knows of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its id.
    pub id: SecretId,
    /// The newest revision.
    pub revision: u64,
    /// Its label.
    pub label: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Who owns it.
    pub owner: Option<Scope>,
    /// Juju's word for how often it rotates.
    pub rotation: Option<String>,
    /// When the newest revision expires, as Juju writes it.
    pub expiry: Option<String>,
}

impl SecretContent {
    /// Checks the keys.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there is no key or one breaks the rule.
    pub fn new(content: BTreeMap<String, String>) -> Result<Self> {
        let why = match content.keys().find(|key| !is_key(key)) {
            Some(key) => {
                format!("`{key}` is no key of a secret, use at least three of a-z and 0-9")
            }
            None if content.is_empty() => "the secret has no key, give it one".to_owned(),
            None => return Ok(Self(content)),
        };
        Err(invalid("secret-add", why))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Every key and its value, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretContent").field(&self.0.keys()).finish()
    }
}

impl SecretOptions {
    /// Nothing but an owner.
    pub fn owned_by(owner: Scope) -> Self {
        Self { label: None, description: None, expire: None, rotate: None, owner }
    }
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Never => "never",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
            Self::Yearly => "yearly",
        })
    }
}

impl Tools {
    /// Makes a secret when the hook has succeeded; its id is known at once:
    /// `secret-add [--label L] [--description D] [--expire E] [--rotate R] --owner application|unit
    /// KEY#file=PATH...`.
    pub fn secret_add(&self, content: &SecretContent, options: &SecretOptions) -> Result<SecretId> {
        let tool = "secret-add";
        let files = self.secret_files(tool, content)?;
        let output = with_files(described(self.call(tool), options), content, &files).bytes()?;
        let not_understood = |why: String| Error::NotUnderstood { tool, why };
        let id =
            str::from_utf8(&output).map_err(|_| not_understood("it is not UTF-8".to_owned()))?;
        id.trim().parse().map_err(|error: crate::ParseError| not_understood(error.to_string()))
    }

    /// Makes a new revision of a secret when the hook has succeeded: `secret-set [options as in
    /// secret-add] --owner application|unit ID KEY#file=PATH...`.
    pub fn secret_set(
        &self,
        secret: &SecretId,
        content: &SecretContent,
        options: &SecretOptions,
    ) -> Result<()> {
        let tool = "secret-set";
        let files = self.secret_files(tool, content)?;
        let call = described(self.call(tool), options).arg(secret.as_str());
        with_files(call, content, &files).done()
    }

    /// Reads a secret:
    /// `secret-get --format=json [ID] [--label L] [--refresh|--peek]`.
    pub fn secret_get(&self, secret: &SecretRef, view: SecretView) -> Result<SecretContent> {
        let tool = "secret-get";
        let call = named(self.call(tool).arg("--format=json"), secret).args(match view {
            SecretView::Tracked => None,
            SecretView::Peek => Some("--peek"),
            SecretView::Refresh => Some("--refresh"),
        });
        // Not with serde's own error, which may quote a value.
        let content = serde_json::from_slice(&call.bytes()?).ok().map(SecretContent);
        let why = || "expected a map of strings".to_owned();
        content.ok_or_else(|| Error::NotUnderstood { tool, why: why() })
    }

    /// What the owner knows of a secret: `secret-info-get --format=json ID|--label L`.
    pub fn secret_info_get(&self, secret: &SecretRef) -> Result<SecretInfo> {
        #[derive(Default, Deserialize)]
        struct Answer {
            revision: u64,
            label: Option<String>,
            description: Option<String>,
            owner: Option<String>,
            rotation: Option<String>,
            expiry: Option<String>,
        }
        let tool = "secret-info-get";
        let answers: Option<BTreeMap<SecretId, Answer>> =
            named(self.call(tool).arg("--format=json"), secret).json()?;
        let why = || "expected one secret, got none".to_owned();
        let (id, answer) = answers
            .and_then(|answers| answers.into_iter().next())
            .ok_or_else(|| Error::NotUnderstood { tool, why: why() })?;
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(SecretInfo {
            id,
            revision: answer.revision,
            label: filled(answer.label),
            description: filled(answer.description),
            owner: answer.owner.as_deref().and_then(owner),
            rotation: filled(answer.rotation),
            expiry: filled(answer.expiry),
        })
    }

    /// Secrets this application or unit owns: `secret-ids --format=json`.
    pub fn secret_ids(&self) -> Result<Vec<SecretId>> {
        let call = self.call("secret-ids").arg("--format=json");
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// Lets the other side of a relation, or one unit of it, read a secret when the hook has
    /// succeeded: `secret-grant --relation ID [--unit U] SECRET`.
    pub fn secret_grant(
        &self,
        secret: &SecretId,
        relation: &RelationId,
        unit: Option<&UnitName>,
    ) -> Result<()> {
        let call = self.call("secret-grant").option("--relation", Some(relation));
        call.option("--unit", unit).arg(secret.as_str()).done()
    }

    /// Takes back a grant when the hook has succeeded:
    /// `secret-revoke --relation ID [--unit U] SECRET`.
    pub fn secret_revoke(
        &self,
        secret: &SecretId,
        relation: &RelationId,
        unit: Option<&UnitName>,
    ) -> Result<()> {
        let call = self.call("secret-revoke").option("--relation", Some(relation));
        call.option("--unit", unit).arg(secret.as_str()).done()
    }

    /// Removes a secret, or one revision of it, when the hook has succeeded:
    /// `secret-remove SECRET [--revision N]`.
    pub fn secret_remove(&self, secret: &SecretId, revision: Option<u64>) -> Result<()> {
        let call = self.call("secret-remove").arg(secret.as_str());
        call.option("--revision", revision).done()
    }

    fn secret_files(&self, tool: &'static str, content: &SecretContent) -> Result<SecretFiles> {
        SecretFiles::write(&self.scratch(), content)
            .map_err(|source| Error::NotRun { tool, source })
    }
}

fn described<'a>(call: Call<'a>, options: &SecretOptions) -> Call<'a> {
    let owner = match options.owner {
        Scope::Unit => "unit",
        Scope::App => "application",
    };
    call.option("--label", options.label.as_ref())
        .option("--description", options.description.as_ref())
        .option("--expire", options.expire.as_ref())
        .option("--rotate", options.rotate)
        .args(["--owner", owner])
}

fn with_files<'a>(call: Call<'a>, content: &SecretContent, files: &SecretFiles) -> Call<'a> {
    let argument = |key: &str| {
        let mut argument = OsString::from(format!("{key}#file="));
        argument.push(files.path(key));
        argument
    };
    content.iter().fold(call, |call, (key, _)| call.arg(argument(key)))
}

fn named<'a>(call: Call<'a>, secret: &SecretRef) -> Call<'a> {
    match secret {
        SecretRef::Id(id) => call.arg(id.as_str()),
        SecretRef::Label(label) => call.option("--label", Some(label)),
    }
}

fn owner(text: &str) -> Option<Scope> {
    match text {
        "unit" => Some(Scope::Unit),
        "application" => Some(Scope::App),
        _ => None,
    }
}

/// `[a-z](-?[a-z0-9]){2,}`
fn is_key(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.split('-').all(|word| !word.is_empty() && word.bytes().all(is_letter))
        && key.bytes().filter(|byte| *byte != b'-').count() >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(key: &str) -> Result<SecretContent> {
        SecretContent::new(BTreeMap::from([(key.to_owned(), "s3cret".to_owned())]))
    }

    #[test]
    fn keys_follow_the_rule_of_juju() {
        for key in ["abc", "a-b-c", "a1b2", "user-password"] {
            assert!(content(key).is_ok(), "{key}");
        }
        for key in ["", "ab", "a-b", "1bc", "a--bc", "abc-", "-abc", "Abc", "a.bc", "../abc"] {
            assert!(content(key).is_err(), "{key}");
        }
        assert!(SecretContent::new(BTreeMap::new()).is_err());
    }

    #[test]
    fn debug_output_shows_keys_and_no_values() {
        let text = format!("{:?}", content("password").unwrap());
        assert!(text.contains("password") && !text.contains("s3cret"), "{text}");
    }
}
