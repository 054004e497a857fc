//! What can go wrong when a test or a person asks something of the model.

/// One line: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// A result of the model.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Adds where it happened to an error of the machine this runs on.
pub(crate) trait At<T> {
    /// Names the place.
    fn at(self, place: impl std::fmt::Display) -> Result<T>;
}

impl<T, E: std::fmt::Display> At<T> for std::result::Result<T, E> {
    fn at(self, place: impl std::fmt::Display) -> Result<T> {
        self.map_err(|error| Error(format!("{place}: {error}")))
    }
}
