//! The function as DataFusion calls it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::Float32Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use lanerank::Ranker;

use crate::texts::Texts;

const NAME: &str = "rerank_score";

/// `rerank_score(query, passage)` with a model.
pub(crate) struct RerankScore {
    ranker: Arc<Ranker>,
    signature: Signature,
}

impl RerankScore {
    pub(crate) fn new(ranker: Ranker) -> Self {
        RerankScore {
            ranker: Arc::new(ranker),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// The score of each row. Adjacent rows with the same query are one call.
    fn scores(&self, rows: usize, queries: &Texts, passages: &Texts) -> Result<Float32Array> {
        let mut scores = vec![None; rows];
        let mut start = 0;
        while start < rows {
            let query = queries.get(start);
            let end = (start + 1..rows).find(|&row| queries.get(row) != query);
            let end = end.unwrap_or(rows);
            if let Some(query) = query {
                let pairs = (start..end).filter_map(|row| Some((row, passages.get(row)?)));
                let (scored, texts): (Vec<usize>, Vec<&str>) = pairs.unzip();
                let found = self.ranker.scores(query, &texts);
                let found = found.map_err(|e| DataFusionError::External(Box::new(e)))?;
                for (row, score) in scored.into_iter().zip(found) {
                    scores[row] = Some(score);
                }
            }
            start = end;
        }
        Ok(scores.into())
    }
}

impl ScalarUDFImpl for RerankScore {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [query, passage] = take_function_args(NAME, types)?;
        Ok(vec![string("query", query)?, string("passage", passage)?])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [query, passage] = take_function_args(NAME, &args.args)?;
        let constant =
            [query, passage].map(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let rows = if constant == [true, true] {
            1
        } else {
            args.number_rows
        };
        let scores = self.scores(rows, &Texts::new(query)?, &Texts::new(passage)?)?;
        Ok(match constant {
            [true, true] => ScalarValue::try_from_array(&scores, 0)?.into(),
            _ => ColumnarValue::Array(Arc::new(scores)),
        })
    }
}

/// The string type to coerce an argument to.
fn string(argument: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(given.clone()),
        DataType::Null => Ok(DataType::Utf8),
        DataType::Dictionary(_, values) => string(argument, values),
        other => plan_err!("{NAME}(query, passage): {argument} is {other}, not a string"),
    }
}

impl fmt::Debug for RerankScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

// DataFusion computes equal expressions once. Functions with the same model are equal.
impl PartialEq for RerankScore {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ranker, &other.ranker)
    }
}

impl Eq for RerankScore {}

impl Hash for RerankScore {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.ranker).hash(state);
    }
}
