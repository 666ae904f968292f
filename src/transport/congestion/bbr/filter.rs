//! The greatest value of a window of virtual time.

use std::collections::VecDeque;

/// Values that may still become the greatest, in the order of their times: each is less than the one before it.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxFilter {
    values: VecDeque<(u64, f64)>,
}

impl MaxFilter {
    /// The greatest value; nothing is greater than none.
    pub(super) fn greatest(&self) -> f64 {
        self.values.front().map_or(0.0, |(_, value)| *value)
    }

    /// Takes in a value seen at `time`, and forgets those of `length` or more before.
    pub(super) fn take(&mut self, value: f64, time: u64, length: u64) {
        while self.values.front().is_some_and(|(at, _)| at + length <= time) {
            self.values.pop_front();
        }
        if self.values.back().is_some_and(|(at, most)| *at == time && *most >= value) {
            return;
        }
        while self.values.back().is_some_and(|(_, less)| *less <= value) {
            self.values.pop_back();
        }
        self.values.push_back((time, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_forgotten_with_its_time() {
        let mut filter = MaxFilter::default();
        assert_eq!(filter.greatest(), 0.0);
        for (time, value, greatest) in [
            (0, 5.0, 5.0),
            (0, 3.0, 5.0),
            (1, 4.0, 5.0),
            (1, 2.0, 5.0),
            (2, 1.0, 4.0),
            (3, 1.0, 1.0),
        ] {
            filter.take(value, time, 2);
            assert_eq!(filter.greatest(), greatest, "at {time}");
        }
        assert!(filter.values.len() <= 2, "one for each time of the window");
    }
}
