//! What is known of the entries of a transfer that are not settled yet.
//!
//! Entries are numbered in the order offered, and there may be very many. So only those from the first
//! unsettled one on are kept.

use std::collections::VecDeque;

/// Items numbered from 0, of which the oldest are forgotten.
#[derive(Clone, Debug)]
pub struct Window<T> {
    first: u32,
    items: VecDeque<T>,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self { first: 0, items: VecDeque::new() }
    }
}

impl<T> Window<T> {
    /// Appends an item and says its number.
    ///
    /// # Panics
    /// After 2^32 items; transfers have fewer.
    pub fn push(&mut self, item: T) -> u32 {
        let index = self.next();
        self.items.push_back(item);
        index
    }

    /// Forgets the oldest items for as long as `is_over` says so.
    pub fn forget(&mut self, mut is_over: impl FnMut(&T) -> bool) {
        while self.items.front().is_some_and(&mut is_over) {
            self.items.pop_front();
            self.first += 1;
        }
    }

    /// The item of that number, if it is kept.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.items.get_mut(self.place(index)?)
    }

    /// The item of that number, if it is kept.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.items.get(self.place(index)?)
    }

    /// Whether there is or was an item of that number.
    #[must_use]
    pub fn knows(&self, index: u32) -> bool {
        index < self.next()
    }

    /// The number of the first item for which `is_before` does not hold, where it holds for all before
    /// and for none after.
    #[must_use]
    pub fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> u32 {
        let place = self.items.partition_point(is_before);
        self.first + u32::try_from(place).expect("numbered in 32 bits")
    }

    /// The number of the next item.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.first + u32::try_from(self.items.len()).expect("numbered in 32 bits")
    }

    /// The number of the oldest item that is kept.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// Items kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The items kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter()
    }

    /// The items kept, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    fn place(&self, index: u32) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_when_the_oldest_items_are_forgotten() {
        let mut window = Window::default();
        for number in 0..10u32 {
            assert_eq!(window.push(number), number);
        }
        window.forget(|number| *number < 4 || *number == 7);
        assert_eq!((window.first(), window.len(), window.next()), (4, 6, 10));
        assert_eq!(
            (window.get(3), window.get(4), window.get(9), window.get(10)),
            (None, Some(&4), Some(&9), None)
        );
        assert!(window.knows(3) && window.knows(9) && !window.knows(10));
        assert_eq!(window.partition_point(|number| *number < 6), 6);
        window.forget(|_| true);
        assert_eq!((window.first(), window.next(), window.is_empty()), (10, 10, true));
    }
}
