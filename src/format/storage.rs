//! The bytes of a model (owned, static or mapped) and cheap views into them.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

#[cfg(target_endian = "big")]
compile_error!(
    "lanerank uses little-endian model files in place and needs a little-endian machine"
);

/// Alignment of sections in the file and in memory.
pub const ALIGNMENT: usize = 64;

/// Bytes of a file that are read at once, a multiple of [`ALIGNMENT`].
const READ_BLOCK: usize = 1 << 20;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; ALIGNMENT]);

/// A buffer aligned to 64 bytes, made without `unsafe`.
pub struct AlignedBytes {
    lines: Vec<Line>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        AlignedBytes {
            lines: vec![Line([0; ALIGNMENT]); len.div_ceil(ALIGNMENT)],
            len,
        }
    }

    /// The next `len` bytes of `source`.
    ///
    /// # Errors
    /// Those of `source`; [`std::io::ErrorKind::OutOfMemory`] if `len` bytes are not available.
    pub fn read(source: &mut impl std::io::Read, len: usize) -> std::io::Result<Self> {
        let mut lines: Vec<Line> = Vec::new();
        lines
            .try_reserve_exact(len.div_ceil(ALIGNMENT))
            .map_err(|_| std::io::ErrorKind::OutOfMemory)?;
        let mut read = 0;
        while read < len {
            // Filled in blocks, so that a file that ends early has not touched all memory.
            let block = READ_BLOCK.min(len - read);
            let end = lines.len();
            lines.resize(end + block.div_ceil(ALIGNMENT), Line([0; ALIGNMENT]));
            source.read_exact(&mut bytemuck::cast_slice_mut(&mut lines[end..])[..block])?;
            read += block;
        }
        Ok(AlignedBytes { lines, len })
    }

    /// The bytes, to fill.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl Deref for AlignedBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

enum Storage {
    Owned(AlignedBytes),
    Static(&'static [u8]),
    Mapped(memmap2::Mmap),
}

impl Deref for Storage {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Storage::Owned(bytes) => bytes,
            Storage::Static(bytes) => bytes,
            Storage::Mapped(map) => map,
        }
    }
}

/// A range of shared bytes. Cloning is cheap; the storage lives as long as any view of it.
#[derive(Clone)]
pub struct Blob {
    storage: Arc<Storage>,
    start: usize,
    len: usize,
}

impl Blob {
    fn whole(storage: Storage) -> Self {
        let len = storage.len();
        Blob {
            storage: Arc::new(storage),
            start: 0,
            len,
        }
    }

    /// Takes ownership of an aligned buffer.
    pub fn from_aligned(bytes: AlignedBytes) -> Self {
        Self::whole(Storage::Owned(bytes))
    }

    /// Copies the bytes into an aligned buffer.
    pub fn copy_from(bytes: &[u8]) -> Self {
        let mut aligned = AlignedBytes::zeroed(bytes.len());
        aligned.as_mut_slice().copy_from_slice(bytes);
        Self::from_aligned(aligned)
    }

    /// Uses bytes of the program: in place if they are aligned to 64, else copied.
    pub fn from_static(bytes: &'static [u8]) -> Self {
        if bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            Self::whole(Storage::Static(bytes))
        } else {
            Self::copy_from(bytes)
        }
    }

    /// Uses a mapped file in place.
    pub fn from_map(map: memmap2::Mmap) -> Self {
        Self::whole(Storage::Mapped(map))
    }

    /// Takes an owned buffer back. `None` unless this is its only view and covers all of it.
    pub fn into_aligned(self) -> Option<AlignedBytes> {
        match Arc::into_inner(self.storage)? {
            Storage::Owned(bytes) if bytes.len() == self.len => Some(bytes),
            _ => None,
        }
    }

    /// A part of this view, or `None` if it would reach outside.
    pub fn slice(&self, start: usize, len: usize) -> Option<Blob> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Blob {
            storage: Arc::clone(&self.storage),
            start: self.start + start,
            len,
        })
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob({} bytes)", self.len)
    }
}

/// A [`Blob`] of numbers.
#[derive(Clone, Debug)]
pub struct View<T> {
    blob: Blob,
    element: PhantomData<T>,
}

impl<T: Pod> View<T> {
    /// The bytes as numbers, or `None` if their length or alignment does not fit.
    pub fn new(blob: Blob) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(&blob).ok()?;
        Some(View {
            blob,
            element: PhantomData,
        })
    }
}

impl<T: Pod> Deref for View<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.blob)
    }
}
