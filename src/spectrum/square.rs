//! A square matrix whose memory comes from a scratch.

use faer::{MatMut, MatRef};

use super::reflect::Real;
use crate::scratch::{Buffer, Scratch};

/// A column-major matrix. Each column begins at the start of a cache line.
pub(super) struct Square<T: Real> {
    entries: Buffer<T>,
    side: usize,
    /// Number of entries from the start of a column to the next, and before the first column.
    stride: usize,
    skip: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;
/// Bytes of a memory page.
const PAGE: usize = 4096;

impl<T: Real> Square<T> {
    pub(super) fn zeros(side: usize, scratch: &Scratch) -> Self {
        let line = LINE / size_of::<T>();
        let mut stride = side.next_multiple_of(line);
        if (stride * size_of::<T>()).is_multiple_of(PAGE) {
            // With a stride of whole pages the entries of a row would compete for the same places
            // in the cache.
            stride += line;
        }
        let entries = Buffer::filled(stride * side + line, T::ZERO, scratch);
        let skip = entries.as_ptr().align_offset(LINE).min(line);
        Self {
            entries,
            side,
            stride,
            skip,
        }
    }

    pub(super) fn scratch(&self) -> &Scratch {
        self.entries.scratch()
    }

    pub(super) fn side(&self) -> usize {
        self.side
    }

    pub(super) fn view(&self) -> MatRef<'_, T> {
        let entries = &self.entries[self.skip..];
        MatRef::from_column_major_slice_with_stride(entries, self.side, self.side, self.stride)
    }

    pub(super) fn view_mut(&mut self) -> MatMut<'_, T> {
        let entries = &mut self.entries[self.skip..];
        MatMut::from_column_major_slice_with_stride_mut(entries, self.side, self.side, self.stride)
    }
}
