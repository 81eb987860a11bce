//! One sequence's rows and the memory to work on them, the same on every tier's attention.

/// Rows of `width` floats in two parts, the first of which may be empty.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub prefix: &'a [f32],
    pub rows: &'a [f32],
    pub width: usize,
}

impl<'a> Tokens<'a> {
    pub fn len(&self) -> usize {
        (self.prefix.len() + self.rows.len()) / self.width
    }

    #[inline(always)]
    pub fn row(&self, i: usize) -> &'a [f32] {
        let start = i * self.width;
        match start.checked_sub(self.prefix.len()) {
            None => &self.prefix[start..][..self.width],
            Some(start) => &self.rows[start..][..self.width],
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        self.prefix
            .chunks_exact(self.width)
            .chain(self.rows.chunks_exact(self.width))
    }
}

/// `x` grown to `len`: it never shrinks, so that a warm one allocates nothing.
pub(crate) fn at_least(x: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if x.len() < len {
        x.resize(len, 0.0);
    }
    &mut x[..len]
}

/// `x` grown to `len` and what it takes to begin at a cache line; see [`at_least`].
pub(crate) fn aligned(x: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    let x = at_least(x, len + LINE / size_of::<f32>());
    // Not 0 only by chance of the address: whatever it is, the rest is long enough.
    let skip = x.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
    &mut x[skip..][..len]
}
