//! Large buffers that a thread keeps for its next matrix.
//!
//! A monitor's threads analyse the same layers again and again. Allocating and freeing megabytes each time, between
//! small records that stay, leaves holes that the allocator cannot return: the process grows. Other threads keep
//! nothing.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// From this many values on it is worth it: 32 kB.
const LARGE: usize = 4096;
/// A thread keeps at most this many times its largest buffer: a layer, its slices, its Gram matrix and scratch.
const SHARE: usize = 4;

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

#[derive(Default)]
struct Kept {
    spare: Vec<Vec<f64>>,
    /// Values in all of them, and the largest that was seen.
    total: usize,
    largest: usize,
}

/// From now on this thread keeps its buffers.
pub(crate) fn keep_on_this_thread() {
    KEPT.with(|kept| {
        kept.borrow_mut().get_or_insert_default();
    });
}

/// Values that go back to their thread.
#[derive(Debug, Default)]
pub(crate) struct Buffer(Vec<f64>);

impl Buffer {
    /// An empty one with room for so many.
    pub(crate) fn with_room(len: usize) -> Self {
        let spare = || {
            KEPT.try_with(|kept| kept.borrow_mut().as_mut()?.take(len))
                .ok()
                .flatten()
        };
        let spare = if len >= LARGE { spare() } else { None };
        Self(spare.unwrap_or_else(|| Vec::with_capacity(len)))
    }

    #[allow(dead_code)]
    /// Of `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::with_room(len);
        buffer.0.resize(len, 0.0);
        buffer
    }

    /// These values, so many.
    pub(crate) fn of(len: usize, values: impl IntoIterator<Item = f64>) -> Self {
        let mut buffer = Self::with_room(len);
        buffer.0.extend(values);
        buffer
    }
}

impl Kept {
    /// The smallest that is large enough, emptied.
    fn take(&mut self, len: usize) -> Option<Vec<f64>> {
        let fits = |v: &&Vec<f64>| v.capacity() >= len;
        let sizes = self.spare.iter().filter(fits).map(Vec::capacity);
        let best = sizes.min()?;
        // A small matrix in a large buffer would leave the large one without.
        if best > 2 * len {
            return None;
        }
        let at = self.spare.iter().position(|v| v.capacity() == best)?;
        let mut buffer = self.spare.swap_remove(at);
        self.total -= buffer.capacity();
        buffer.clear();
        Some(buffer)
    }

    fn give(&mut self, buffer: Vec<f64>) {
        let size = buffer.capacity();
        self.largest = self.largest.max(size);
        if self.total + size <= SHARE * self.largest {
            self.total += size;
            self.spare.push(buffer);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.capacity() >= LARGE {
            // A thread that ends keeps nothing.
            let _ = KEPT.try_with(|kept| {
                if let Some(kept) = kept.borrow_mut().as_mut() {
                    kept.give(buffer);
                }
            });
        }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::of(self.len(), self.iter().copied())
    }
}

impl From<Vec<f64>> for Buffer {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}

impl Deref for Buffer {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f64] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_keeps_gets_its_buffers_back() {
        let thread = std::thread::spawn(|| {
            keep_on_this_thread();
            let first = Buffer::of(10_000, (0..10_000).map(f64::from));
            let at = first.as_ptr();
            drop(first);
            let again = Buffer::zeros(9_000);
            assert_eq!((again.as_ptr(), again.len()), (at, 9_000));
            assert!(again.iter().all(|v| *v == 0.0));
            // Too small to take it, and too large.
            drop(again);
            assert_ne!(Buffer::zeros(4_500).as_ptr(), at);
            let buffers: Vec<Buffer> = (0..20).map(|_| Buffer::zeros(10_000)).collect();
            drop(buffers);
            KEPT.with(|kept| {
                let kept = kept.borrow();
                let kept = kept.as_ref().unwrap();
                assert!(kept.total <= SHARE * kept.largest, "{}", kept.total);
                assert!(kept.spare.len() > 1);
            });
        });
        thread.join().unwrap();
    }

    #[test]
    fn other_threads_keep_nothing() {
        drop(Buffer::zeros(10_000));
        KEPT.with(|kept| assert!(kept.borrow().is_none()));
    }
}
