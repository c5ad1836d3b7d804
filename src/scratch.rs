//! Large buffers that one analysis reuses from another.
//!
//! A monitor analyses the same layers repeatedly. If it allocated and freed megabytes each time,
//! small records that stay would leave holes between them. The allocator cannot return such holes,
//! so the process would grow. Instead an [`Analyzer`](crate::Analyzer) owns a [`Scratch`]. Every
//! large buffer of its analyses comes from there and returns to it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Size in bytes below which a buffer does not come from a scratch.
const MIN_BYTES: usize = 32 << 10;
/// A scratch keeps at most this many times its largest buffer for each thread: a layer, its slices,
/// its Gram matrix and the workspace of the reduction.
const BUFFERS_PER_THREAD: usize = 4;

/// A pool of buffers for reuse. Clones share the pool. The default keeps nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch(Option<Arc<Pools>>);

#[derive(Debug)]
pub(crate) struct Pools {
    f64: Mutex<Pool<f64>>,
    f32: Mutex<Pool<f32>>,
}

impl Scratch {
    /// A pool that `threads` threads use at once.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Some(Arc::new(Pools {
            f64: Mutex::new(Pool::new(threads)),
            f32: Mutex::new(Pool::new(threads)),
        })))
    }
}

/// A number type with its own pool of buffers.
pub(crate) trait Reusable: Copy + 'static {
    fn pool(pools: &Pools) -> &Mutex<Pool<Self>>;
}

impl Reusable for f64 {
    fn pool(pools: &Pools) -> &Mutex<Pool<f64>> {
        &pools.f64
    }
}

impl Reusable for f32 {
    fn pool(pools: &Pools) -> &Mutex<Pool<f32>> {
        &pools.f32
    }
}

#[derive(Debug)]
pub(crate) struct Pool<T> {
    free: Vec<Vec<T>>,
    /// Capacity of all free buffers, and of the largest buffer so far, in values.
    total: usize,
    largest: usize,
    threads: usize,
}

impl<T> Pool<T> {
    fn new(threads: usize) -> Self {
        Self {
            free: Vec::new(),
            total: 0,
            largest: 0,
            threads,
        }
    }

    /// The smallest buffer that is large enough, emptied. `None` if there is no suitable one.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let fits = |v: &&Vec<T>| v.capacity() >= len;
        let sizes = self.free.iter().filter(fits).map(Vec::capacity);
        let best = sizes.min()?;
        // A large buffer stays free for a large matrix.
        if best > 2 * len {
            return None;
        }
        let at = self.free.iter().position(|v| v.capacity() == best)?;
        let mut buffer = self.free.swap_remove(at);
        self.total -= buffer.capacity();
        buffer.clear();
        Some(buffer)
    }

    fn put(&mut self, buffer: Vec<T>) {
        let size = buffer.capacity();
        self.largest = self.largest.max(size);
        if self.total + size <= BUFFERS_PER_THREAD * self.threads * self.largest {
            self.total += size;
            self.free.push(buffer);
        }
    }
}

/// Values whose memory returns to a scratch.
#[derive(Debug)]
pub(crate) struct Buffer<T: Reusable = f64> {
    values: Vec<T>,
    scratch: Scratch,
}

impl<T: Reusable> Buffer<T> {
    /// An empty buffer with room for `len` values.
    fn with_capacity(len: usize, scratch: &Scratch) -> Self {
        let kept = match &scratch.0 {
            Some(pools) if len * size_of::<T>() >= MIN_BYTES => {
                let pool = T::pool(pools).lock();
                pool.unwrap_or_else(PoisonError::into_inner).take(len)
            }
            _ => None,
        };
        Self {
            values: kept.unwrap_or_else(|| Vec::with_capacity(len)),
            scratch: scratch.clone(),
        }
    }

    /// A buffer of `len` copies of `value`.
    pub(crate) fn filled(len: usize, value: T, scratch: &Scratch) -> Self {
        let mut buffer = Self::with_capacity(len, scratch);
        buffer.values.resize(len, value);
        buffer
    }

    /// A buffer of these `len` values.
    pub(crate) fn collect(
        len: usize,
        values: impl IntoIterator<Item = T>,
        scratch: &Scratch,
    ) -> Self {
        let mut buffer = Self::with_capacity(len, scratch);
        buffer.values.extend(values);
        buffer
    }

    /// A buffer of a vector. Its memory goes to `scratch` when the buffer is dropped.
    pub(crate) fn from_vec(values: Vec<T>, scratch: &Scratch) -> Self {
        Self {
            values,
            scratch: scratch.clone(),
        }
    }

    /// The scratch to which its memory returns.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

impl<T: Reusable> Drop for Buffer<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if let Some(pools) = &self.scratch.0
            && values.capacity() * size_of::<T>() >= MIN_BYTES
        {
            let pool = T::pool(pools).lock();
            pool.unwrap_or_else(PoisonError::into_inner).put(values);
        }
    }
}

impl<T: Reusable> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::collect(self.len(), self.iter().copied(), &self.scratch)
    }
}

impl<T: Reusable> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T: Reusable> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_gives_its_buffers_again() {
        let scratch = Scratch::new(1);
        let first = Buffer::collect(10_000, (0..10_000).map(f64::from), &scratch);
        let at = first.as_ptr();
        drop(first);
        let again = Buffer::filled(9_000, 0.0, &scratch);
        assert_eq!((again.as_ptr(), again.len()), (at, 9_000));
        assert!(again.iter().all(|v| *v == 0.0));
        drop(again);
        let small = Buffer::filled(4_500, 0.0, &scratch);
        assert_ne!(
            small.as_ptr(),
            at,
            "a small matrix leaves the large buffer alone"
        );
    }

    #[test]
    fn a_scratch_keeps_few_buffers_a_thread() {
        for threads in [1, 3] {
            let scratch = Scratch::new(threads);
            let new = |_| Buffer::filled(10_000, 0.0, &scratch);
            let buffers: Vec<Buffer<f64>> = (0..20).map(new).collect();
            drop(buffers);
            let pools = scratch.0.as_ref().unwrap();
            assert_eq!(
                pools.f64.lock().unwrap().free.len(),
                BUFFERS_PER_THREAD * threads
            );
        }
    }

    #[test]
    fn the_default_keeps_nothing() {
        let buffer = Buffer::filled(10_000, 0.0, &Scratch::default());
        assert!(buffer.scratch().0.is_none());
    }
}
