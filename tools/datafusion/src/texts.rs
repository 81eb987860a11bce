//! An argument of the function: one string per row.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringViewArray,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::ColumnarValue;

/// Borrowed strings of an argument.
pub(crate) enum Texts<'a> {
    /// The same text in all rows.
    Constant(Option<&'a str>),
    /// With 32-bit offsets.
    Utf8(&'a StringArray),
    /// With 64-bit offsets.
    LargeUtf8(&'a LargeStringArray),
    /// With short strings inside the views.
    Utf8View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// # Errors
    /// When the values are not strings.
    pub(crate) fn new(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => Self::of_array(array),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Texts::Constant(None)),
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Ok(Texts::Constant(text)),
                None => exec_err!("rerank_score: {} is not a string", scalar.data_type()),
            },
        }
    }

    fn of_array(array: &'a ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Utf8 => Ok(Texts::Utf8(array.as_string())),
            DataType::LargeUtf8 => Ok(Texts::LargeUtf8(array.as_string())),
            DataType::Utf8View => Ok(Texts::Utf8View(array.as_string_view())),
            DataType::Null => Ok(Texts::Constant(None)),
            other => exec_err!("rerank_score: {other} is not a string"),
        }
    }

    /// The text of a row; `None` for null. `row` must be less than the number of rows.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match *self {
            Texts::Constant(text) => text,
            Texts::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Utf8View(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
