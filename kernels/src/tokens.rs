//! A sequence's rows, and working memory, for every tier's attention.

/// Rows of `width` floats in two parts, the first of which may be empty.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) prefix: &'a [f32],
    pub(crate) rows: &'a [f32],
    pub(crate) width: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn len(&self) -> usize {
        (self.prefix.len() + self.rows.len()) / self.width
    }

    #[inline(always)]
    pub(crate) fn row(&self, i: usize) -> &'a [f32] {
        let start = i * self.width;
        match start.checked_sub(self.prefix.len()) {
            None => &self.prefix[start..][..self.width],
            Some(start) => &self.rows[start..][..self.width],
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [f32]> {
        self.prefix
            .chunks_exact(self.width)
            .chain(self.rows.chunks_exact(self.width))
    }
}

/// The first `len` floats of `x`, which grows where it is too small. It never shrinks, so a warm
/// one allocates nothing.
pub(crate) fn at_least(x: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if x.len() < len {
        x.resize(len, 0.0);
    }
    &mut x[..len]
}

/// `len` floats of `x` from the start of a cache line; `x` grows as in [`at_least`].
pub(crate) fn aligned(x: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    let x = at_least(x, len + LINE / size_of::<f32>());
    // `align_offset` may give anything by its contract; the slice is long enough in any case.
    let skip = x.as_ptr().align_offset(LINE).min(LINE / size_of::<f32>());
    &mut x[skip..][..len]
}
