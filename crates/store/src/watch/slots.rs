//! Numbered places that are reused.

use std::ops::{Index, IndexMut};

/// Values under small numbers; a number is free again after its value was removed.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    /// Stores a value and says where.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.places[slot as usize] = Some(value);
            return slot;
        }
        self.places.push(Some(value));
        u32::try_from(self.places.len() - 1).expect("memory ends before 2^32 watchers or streams")
    }

    /// Takes a value out; it must be there.
    pub(super) fn remove(&mut self, slot: u32) -> T {
        self.free.push(slot);
        self.places[slot as usize].take().expect("removed once")
    }

    /// All values with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.places.iter().enumerate().filter_map(|(slot, v)| Some((slot as u32, v.as_ref()?)))
    }

    /// Whether there is no value.
    pub(super) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Index<u32> for Slots<T> {
    type Output = T;

    fn index(&self, slot: u32) -> &T {
        self.places[slot as usize].as_ref().expect("the slot is in use")
    }
}

impl<T> IndexMut<u32> for Slots<T> {
    fn index_mut(&mut self, slot: u32) -> &mut T {
        self.places[slot as usize].as_mut().expect("the slot is in use")
    }
}
