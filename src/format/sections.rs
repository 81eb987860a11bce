//! Takes typed sections out of a model file, each exactly once.

use std::collections::HashMap;

use bytemuck::Pod;

use super::directory::{Dtype, Layout, Section};
use super::storage::{Blob, View};
use crate::error::Error;

/// The sections of a file that have not been taken yet.
pub(crate) struct Sections<'a> {
    file: &'a Blob,
    remaining: HashMap<&'a str, &'a Section>,
}

impl<'a> Sections<'a> {
    pub(crate) fn new(file: &'a Blob, sections: &'a [Section]) -> Self {
        Sections {
            file,
            remaining: sections.iter().map(|s| (s.name.as_str(), s)).collect(),
        }
    }

    /// Dtype of a section that has not been taken.
    pub(crate) fn dtype(&self, name: &str) -> Result<Dtype, Error> {
        match self.remaining.get(name) {
            Some(section) => Ok(section.dtype),
            None => Err(Error::section(name, "missing")),
        }
    }

    /// Whether a section is there that has not been taken.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.remaining.contains_key(name)
    }

    /// Takes a byte string of any length.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Blob, Error> {
        let section = self.take(name)?;
        if (section.dtype, section.layout) != (Dtype::U8, Layout::Rows) || section.shape.len() != 1
        {
            return Err(Error::section(name, "not a string of bytes"));
        }
        self.blob(section)
    }

    /// Takes a section that must have this dtype, layout and shape.
    pub(crate) fn exact(
        &mut self,
        name: &str,
        dtype: Dtype,
        layout: Layout,
        shape: &[usize],
    ) -> Result<Blob, Error> {
        let section = self.take(name)?;
        if (section.dtype, section.layout, &*section.shape) != (dtype, layout, shape) {
            let found = format!("{} {} {:?}", section.dtype, section.layout, section.shape);
            let reason = format!("{found}, but the config asks for {dtype} {layout} {shape:?}");
            return Err(Error::section(name, reason));
        }
        self.blob(section)
    }

    /// [`Sections::exact`] as numbers.
    pub(crate) fn view<T: Pod>(
        &mut self,
        name: &str,
        dtype: Dtype,
        layout: Layout,
        shape: &[usize],
    ) -> Result<View<T>, Error> {
        let blob = self.exact(name, dtype, layout, shape)?;
        View::new(blob).ok_or_else(|| Error::section(name, "not aligned"))
    }

    /// Takes f32 rows of this shape, all finite.
    pub(crate) fn finite(&mut self, name: &str, shape: &[usize]) -> Result<View<f32>, Error> {
        let values: View<f32> = self.view(name, Dtype::F32, Layout::Rows, shape)?;
        if values.iter().all(|v| v.is_finite()) {
            Ok(values)
        } else {
            Err(Error::section(name, "holds NaN or infinity"))
        }
    }

    /// Refuses sections that were not taken.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.remaining.keys().min() {
            Some(name) => Err(Error::section(name, "has no place in this model")),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str) -> Result<&'a Section, Error> {
        self.remaining
            .remove(name)
            .ok_or_else(|| Error::section(name, "missing"))
    }

    fn blob(&self, section: &Section) -> Result<Blob, Error> {
        self.file
            .slice(section.offset, section.len)
            .ok_or_else(|| Error::section(&section.name, "outside the file"))
    }
}
