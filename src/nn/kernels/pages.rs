//! Memory for weights on large pages: with small ones, finding the pages takes a quarter of the time
//! that decoding spends reading weights.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{LINE, Line};

/// Bytes of a large page.
const PAGE: usize = 2 << 20;

/// Bytes of a chunk that several small matrices share.
const CHUNK: usize = 8 << 20;

/// Memory of whole pages, zeros at first.
#[derive(Debug)]
struct Chunk {
    start: NonNull<Line>,
    layout: Layout,
}

// SAFETY: the memory belongs to the chunk, and `Lines` hands each part of it out once.
unsafe impl Send for Chunk {}
// SAFETY: as above.
unsafe impl Sync for Chunk {}

impl Chunk {
    fn new(lines: usize) -> Arc<Self> {
        let bytes = (lines * LINE).max(1).next_multiple_of(PAGE);
        let layout = Layout::from_size_align(bytes, PAGE).unwrap_or_else(|_| unreachable!());
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(layout) });
        let Some(start) = start else { handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        // SAFETY: a hint, on memory that is ours. If it is not taken, pages stay small.
        unsafe {
            libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        // SAFETY: all of what was allocated; only now, as the size of a page is settled at the first
        // touch.
        unsafe { start.write_bytes(0, bytes) };
        Arc::new(Chunk { start: start.cast(), layout })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) };
    }
}

/// The chunk that small matrices are put into, and the lines of it that are used.
static OPEN: Mutex<(Weak<Chunk>, usize)> = Mutex::new((Weak::new(), 0));

/// A number of lines.
#[derive(Debug)]
pub(super) struct Lines {
    chunk: Arc<Chunk>,
    first: usize,
    count: usize,
}

impl Lines {
    /// All zeros.
    pub fn zeros(count: usize) -> Self {
        if count * LINE >= CHUNK {
            return Lines { chunk: Chunk::new(count), first: 0, count };
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let room = open.1 + count <= CHUNK / LINE;
        let chunk = match open.0.upgrade() {
            Some(chunk) if room => chunk,
            _ => {
                let chunk = Chunk::new(CHUNK / LINE);
                *open = (Arc::downgrade(&chunk), 0);
                chunk
            }
        };
        let first = open.1;
        open.1 += count;
        Lines { chunk, first, count }
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: these lines are within the chunk, hold zeros or what was written, and belong to no
        // other `Lines`, as `OPEN` only moves forward.
        unsafe { std::slice::from_raw_parts(self.chunk.start.as_ptr().add(self.first), self.count) }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [Line] {
        // SAFETY: as in `deref`; `self` is borrowed alone.
        unsafe {
            std::slice::from_raw_parts_mut(self.chunk.start.as_ptr().add(self.first), self.count)
        }
    }
}

impl Clone for Lines {
    fn clone(&self) -> Self {
        let mut lines = Lines::zeros(self.count);
        lines.copy_from_slice(self);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_overlap() {
        let counts = [1, 1000, CHUNK / LINE - 1, 3, 0, CHUNK / LINE, 70_000, 5];
        let mut all: Vec<Lines> = counts.into_iter().map(Lines::zeros).collect();
        for (i, lines) in all.iter_mut().enumerate() {
            assert!(lines.iter().all(|line| line.0 == [0; LINE]), "{i}");
            lines.fill(Line([i as u8 + 1; LINE]));
        }
        let copy = all[1].clone();
        for (i, (lines, count)) in all.iter().zip(counts).enumerate() {
            assert_eq!(lines.len(), count);
            assert!(lines.iter().all(|line| line.0 == [i as u8 + 1; LINE]), "{i}");
        }
        drop(all);
        assert!(copy.iter().all(|line| line.0 == [2; LINE]));
    }
}
