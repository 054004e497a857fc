//! The hook tools' API against fake tools: real processes, whose calls are written down.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod arguments;
#[cfg(test)]
mod databag;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod fake;
