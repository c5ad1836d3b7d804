//! Large buffers that a thread keeps for its next matrix.
//!
//! A monitor's threads analyse the same layers again and again. Allocating and freeing megabytes each time, between
//! small records that stay, leaves holes that the allocator cannot return: the process grows. Other threads keep
//! nothing unless asked to.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// From this many bytes on it is worth it.
const LARGE: usize = 32 << 10;
/// A thread keeps at most this many times its largest buffer: a layer, its slices, its Gram matrix and scratch.
const SHARE: usize = 4;

/// A number whose buffers can be kept.
pub(crate) trait Keep: Copy + 'static {
    fn kept() -> &'static LocalKey<RefCell<Option<Kept<Self>>>>;
}

macro_rules! keep {
    ($t:ty) => {
        impl Keep for $t {
            fn kept() -> &'static LocalKey<RefCell<Option<Kept<Self>>>> {
                thread_local! {
                    static KEPT: RefCell<Option<Kept<$t>>> = const { RefCell::new(None) };
                }
                &KEPT
            }
        }
    };
}
keep!(f64);
keep!(f32);

/// What a thread keeps.
pub(crate) struct Kept<T> {
    spare: Vec<Vec<T>>,
    /// Values in all of them, and in the largest that was seen.
    total: usize,
    largest: usize,
}

/// Let this thread keep the large buffers of its analyses for the next ones, until what is returned is dropped: for
/// loops over many matrices. At most four times the largest. A monitor's threads do it, and the surveys of
/// checkpoints.
pub fn keep_buffers() -> KeptBuffers {
    fn start<T: Keep>() -> bool {
        T::kept().with(|kept| {
            let mut kept = kept.borrow_mut();
            let starts = kept.is_none();
            kept.get_or_insert(Kept {
                spare: Vec::new(),
                total: 0,
                largest: 0,
            });
            starts
        })
    }
    start::<f32>();
    KeptBuffers {
        starts: start::<f64>(),
        here: PhantomData,
    }
}

/// While this lives, its thread keeps its buffers; see [`keep_buffers`].
#[derive(Debug)]
#[must_use]
pub struct KeptBuffers {
    starts: bool,
    /// It belongs to its thread.
    here: PhantomData<*const ()>,
}

impl Drop for KeptBuffers {
    fn drop(&mut self) {
        fn stop<T: Keep>() {
            // The thread may be ending.
            let _ = T::kept().try_with(|kept| kept.borrow_mut().take());
        }
        if self.starts {
            stop::<f64>();
            stop::<f32>();
        }
    }
}

/// Values that go back to their thread.
#[derive(Debug)]
pub(crate) struct Buffer<T: Keep = f64>(Vec<T>);

impl<T: Keep> Buffer<T> {
    /// An empty one with room for so many.
    fn with_room(len: usize) -> Self {
        let spare = || {
            T::kept()
                .try_with(|kept| kept.borrow_mut().as_mut()?.take(len))
                .ok()
                .flatten()
        };
        let spare = if len * size_of::<T>() >= LARGE {
            spare()
        } else {
            None
        };
        Self(spare.unwrap_or_else(|| Vec::with_capacity(len)))
    }

    /// The same value, so many times.
    pub(crate) fn filled(len: usize, value: T) -> Self {
        let mut buffer = Self::with_room(len);
        buffer.0.resize(len, value);
        buffer
    }

    /// These values, so many.
    pub(crate) fn of(len: usize, values: impl IntoIterator<Item = T>) -> Self {
        let mut buffer = Self::with_room(len);
        buffer.0.extend(values);
        buffer
    }
}

impl<T> Kept<T> {
    /// The smallest that is large enough, emptied.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let fits = |v: &&Vec<T>| v.capacity() >= len;
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

    fn give(&mut self, buffer: Vec<T>) {
        let size = buffer.capacity();
        self.largest = self.largest.max(size);
        if self.total + size <= SHARE * self.largest {
            self.total += size;
            self.spare.push(buffer);
        }
    }
}

impl<T: Keep> Drop for Buffer<T> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.capacity() * size_of::<T>() >= LARGE {
            // A thread that ends keeps nothing.
            let _ = T::kept().try_with(|kept| {
                if let Some(kept) = kept.borrow_mut().as_mut() {
                    kept.give(buffer);
                }
            });
        }
    }
}

impl<T: Keep> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::of(self.len(), self.iter().copied())
    }
}

#[cfg(feature = "checkpoint")]
impl<T: Keep> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<T: Keep> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Keep> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_keeps_gets_its_buffers_back() {
        let thread = std::thread::spawn(|| {
            let _kept = keep_buffers();
            let first = Buffer::of(10_000, (0..10_000).map(f64::from));
            let at = first.as_ptr();
            drop(first);
            let again = Buffer::filled(9_000, 0.0);
            assert_eq!((again.as_ptr(), again.len()), (at, 9_000));
            assert!(again.iter().all(|v| *v == 0.0));
            // Too small to take it, and too large.
            drop(again);
            assert_ne!(Buffer::filled(4_500, 0.0).as_ptr(), at);
            let buffers: Vec<Buffer<f64>> = (0..20).map(|_| Buffer::filled(10_000, 0.0)).collect();
            drop(buffers);
            f64::kept().with(|kept| {
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
        drop(Buffer::filled(10_000, 0.0));
        f64::kept().with(|kept| assert!(kept.borrow().is_none()));
    }
}
