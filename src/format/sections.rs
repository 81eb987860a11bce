//! Taking typed sections out of a model file, each exactly once.

use std::collections::HashMap;

use bytemuck::Pod;

use super::directory::{Dtype, Layout, Section};
use super::header::field;
use super::storage::{Blob, View};
use crate::Error;

/// The sections of a file that nobody has taken yet.
pub(crate) struct Sections<'a> {
    file: &'a Blob,
    left: HashMap<&'a str, &'a Section>,
}

impl<'a> Sections<'a> {
    pub fn new(file: &'a Blob, sections: &'a [Section]) -> Self {
        Sections {
            file,
            left: sections.iter().map(|s| (s.name.as_str(), s)).collect(),
        }
    }

    /// Dtype of a section that is still there.
    pub fn dtype(&self, name: &str) -> Result<Dtype, Error> {
        match self.left.get(name) {
            Some(section) => Ok(section.dtype),
            None => Err(field(format!("section {name}"), "missing")),
        }
    }

    /// A section of bytes with a meaning of their own, of any length.
    pub fn bytes(&mut self, name: &str) -> Result<Blob, Error> {
        let section = self.take(name)?;
        if (section.dtype, section.layout) != (Dtype::U8, Layout::Rows) || section.shape.len() != 1
        {
            return Err(field(format!("section {name}"), "not a string of bytes"));
        }
        self.blob(section)
    }

    /// A section that must have this dtype, layout and shape.
    pub fn exact(
        &mut self,
        name: &str,
        dtype: Dtype,
        layout: Layout,
        shape: &[usize],
    ) -> Result<Blob, Error> {
        let section = self.take(name)?;
        if (section.dtype, section.layout, &*section.shape) != (dtype, layout, shape) {
            let found = format!("{} {} {:?}", section.dtype, section.layout, section.shape);
            return Err(field(
                format!("section {name}"),
                format!("{found}, but the config asks for {dtype} {layout} {shape:?}"),
            ));
        }
        self.blob(section)
    }

    /// [`Sections::exact`] as numbers.
    pub fn view<T: Pod>(
        &mut self,
        name: &str,
        dtype: Dtype,
        layout: Layout,
        shape: &[usize],
    ) -> Result<View<T>, Error> {
        let blob = self.exact(name, dtype, layout, shape)?;
        View::new(blob).ok_or_else(|| field(format!("section {name}"), "not aligned"))
    }

    /// f32 rows of this shape, all finite.
    pub fn finite(&mut self, name: &str, shape: &[usize]) -> Result<View<f32>, Error> {
        let values: View<f32> = self.view(name, Dtype::F32, Layout::Rows, shape)?;
        match values.iter().all(|v| v.is_finite()) {
            true => Ok(values),
            false => Err(field(format!("section {name}"), "holds NaN or infinity")),
        }
    }

    /// Refuses sections that nobody took.
    pub fn finish(self) -> Result<(), Error> {
        match self.left.keys().min() {
            Some(name) => Err(field(
                format!("section {name}"),
                "has no place in this model",
            )),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str) -> Result<&'a Section, Error> {
        self.left
            .remove(name)
            .ok_or_else(|| field(format!("section {name}"), "missing"))
    }

    fn blob(&self, section: &Section) -> Result<Blob, Error> {
        self.file
            .slice(section.offset, section.len)
            .ok_or_else(|| field(format!("section {}", section.name), "outside the file"))
    }
}
