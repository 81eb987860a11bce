//! An argument of the function: a string for each row.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;

/// Strings where they lie.
pub enum Texts<'a> {
    /// The same for all rows.
    Constant(Option<&'a str>),
    /// Offsets of 32 bits.
    Utf8(&'a StringArray),
    /// Offsets of 64 bits.
    LargeUtf8(&'a LargeStringArray),
    /// Short ones inside the views.
    Utf8View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// # Errors
    /// Where the values are no strings.
    pub fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Texts::Constant(None)),
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Ok(Texts::Constant(text)),
                None => exec_err!("rerank_score: {} is no string", scalar.data_type()),
            },
        }
    }

    fn of_array(array: &'a ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Texts::Utf8(array.as_string())),
            DataType::LargeUtf8 => Ok(Texts::LargeUtf8(array.as_string())),
            DataType::Utf8View => Ok(Texts::Utf8View(array.as_string_view())),
            DataType::Null => Ok(Texts::Constant(None)),
            other => exec_err!("rerank_score: {other} is no string"),
        }
    }

    /// The text of a row, if it has one. `row` is less than the number of rows.
    pub fn get(&self, row: usize) -> Option<&'a str> {
        match *self {
            Texts::Constant(text) => text,
            Texts::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Utf8View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
