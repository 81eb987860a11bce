//! The `self_test` section: pairs of texts and their logits on the reference tier.

use byteorder::{ByteOrder, LittleEndian as Le};

use crate::error::Error;

/// One row: a pair of texts and its logit (for an encoder, their cosine).
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTestRow {
    /// First text.
    pub query: String,
    /// Second text.
    pub passage: String,
    /// The reference tier's result.
    pub logit: f32,
}

/// The section's bytes: a count, then per row both lengths, both texts and the logit.
pub fn to_bytes(rows: &[SelfTestRow]) -> Vec<u8> {
    let mut bytes = (rows.len() as u32).to_le_bytes().to_vec();
    for row in rows {
        bytes.extend((row.query.len() as u32).to_le_bytes());
        bytes.extend((row.passage.len() as u32).to_le_bytes());
        bytes.extend(row.query.as_bytes());
        bytes.extend(row.passage.as_bytes());
        bytes.extend(row.logit.to_le_bytes());
    }
    bytes
}

/// Reads the section.
///
/// # Errors
/// Names the row that is wrong: cut short, not UTF-8, or with a logit that is NaN or infinite.
pub fn parse(bytes: &[u8]) -> Result<Vec<SelfTestRow>, Error> {
    let mut rest = bytes;
    let broken = |row: usize| Error::format(format!("self_test[{row}]"), "cut short or not UTF-8");
    let count = take(&mut rest, 4)
        .map(Le::read_u32)
        .ok_or_else(|| broken(0))?;
    let mut rows = Vec::new();
    for i in 0..count as usize {
        let row = parse_row(&mut rest).ok_or_else(|| broken(i))?;
        if !row.logit.is_finite() {
            let reason = format!("the stored logit is {}", row.logit);
            return Err(Error::format(format!("self_test[{i}]"), reason));
        }
        rows.push(row);
    }
    if rest.is_empty() {
        Ok(rows)
    } else {
        Err(Error::format("self_test", "bytes after the last row"))
    }
}

fn parse_row(rest: &mut &[u8]) -> Option<SelfTestRow> {
    let query_len = Le::read_u32(take(rest, 4)?) as usize;
    let passage_len = Le::read_u32(take(rest, 4)?) as usize;
    Some(SelfTestRow {
        query: std::str::from_utf8(take(rest, query_len)?).ok()?.into(),
        passage: std::str::from_utf8(take(rest, passage_len)?).ok()?.into(),
        logit: Le::read_f32(take(rest, 4)?),
    })
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, remaining) = rest.split_at_checked(len)?;
    *rest = remaining;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_finite() {
        for logit in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let row = |logit| SelfTestRow {
                query: "a".into(),
                passage: "b".into(),
                logit,
            };
            assert!(parse(&to_bytes(&[row(1.0)])).is_ok());
            let error = parse(&to_bytes(&[row(1.0), row(logit)])).unwrap_err();
            let expected = format!("self_test[1]: the stored logit is {logit}");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}
