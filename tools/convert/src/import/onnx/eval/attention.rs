//! Attention as one operator.

use super::super::graph::Node;
use super::super::tensor::{Data, Tensor};
use super::elementwise::{binary, map};
use super::matmul::{matmul, swap};
use super::reduce::softmax_rows;
use super::shape::permute;
use super::{Evaluator, Inputs};

/// onnxruntime's default for the value added to the scores of masked tokens.
const MASKED: f32 = -10000.0;

pub(super) fn eval(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    match node.op.as_str() {
        "com.microsoft.Attention" => {
            check_packed(node)?;
            packed(e, node, x.get(0)?, x.get(1)?, x.get(2)?, x.optional(3))
        }
        "com.microsoft.MultiHeadAttention" => multi_head(e, node, x),
        _ => standard(e, node, x),
    }
}

/// Refuses features of `com.microsoft.Attention` that BERT does not use.
pub(crate) fn check_packed(node: &Node) -> Result<(), String> {
    node.only_without(&[
        "unidirectional",
        "do_rotary",
        "qkv_hidden_sizes",
        "past_present_share_buffer",
    ])?;
    node.only_inputs_before(4, "past tokens or an attention bias")
}

/// `x[batch, len, width]` with `weight[width, 3 hidden]` for queries, keys and values.
pub(super) fn packed(
    e: &mut Evaluator,
    node: &Node,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor, String> {
    let all = binary("Add", &matmul(e, x, weight)?, bias)?;
    let &[batch, len, width] = &all.shape[..] else {
        return Err(format!("an input of shape {:?}", x.shape));
    };
    if width % 3 != 0 {
        return Err(format!("{width} columns for queries, keys and values"));
    }
    let split = permute(&all.with_shape(&[batch, len, 3, width / 3])?, &[2, 0, 1, 3]);
    let parts = split.to_floats();
    let part = |i: usize| {
        let size = batch * len * (width / 3);
        Tensor::floats(
            &[batch, len, width / 3],
            parts[i * size..(i + 1) * size].to_vec(),
        )
    };
    let heads = heads(node)?;
    let mask = mask
        .map(|mask| additive(node, mask, batch, len))
        .transpose()?;
    attend(e, node, [part(0), part(1), part(2)], heads, mask.as_ref())
}

/// The number of heads of the node.
pub(crate) fn heads(node: &Node) -> Result<usize, String> {
    let heads = usize::try_from(node.int("num_heads", 0)?).unwrap_or(0);
    match heads {
        0 => Err("no num_heads".into()),
        heads => Ok(heads),
    }
}

/// onnxruntime's masks, one number per token or the length of each sequence, as values to add to
/// the scores.
fn additive(node: &Node, mask: &Tensor, batch: usize, len: usize) -> Result<Tensor, String> {
    let kept: Vec<bool> = match &mask.shape[..] {
        [b, l] if (*b, *l) == (batch, len) => mask.to_ints()?.iter().map(|&v| v != 0).collect(),
        [b] if *b == batch => {
            let lengths = mask.to_ints()?;
            let row = |&n: &i64| (0..len as i64).map(move |i| i < n);
            lengths.iter().flat_map(row).collect()
        }
        other => return Err(format!("a mask of shape {other:?}")),
    };
    let masked = node.float("mask_filter_value", MASKED)?;
    let bias = kept.iter().map(|&kept| if kept { 0.0 } else { masked });
    Ok(Tensor::floats(&[batch, 1, 1, len], bias.collect()))
}

/// Queries, keys and values separately, each `[batch, len, hidden]`.
fn multi_head(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    check_multi_head(node)?;
    let mut parts = [x.get(0)?.clone(), x.get(1)?.clone(), x.get(2)?.clone()];
    let &[batch, len, hidden] = &parts[0].shape[..] else {
        return Err(format!("queries of shape {:?}", parts[0].shape));
    };
    if let Some(bias) = x.optional(3) {
        let bias = bias.to_floats();
        for (part, bias) in parts.iter_mut().zip(bias.chunks(hidden.max(1))) {
            *part = binary("Add", part, &Tensor::floats(&[bias.len()], bias.to_vec()))?;
        }
    }
    let mut mask = x
        .optional(4)
        .map(|mask| additive(node, mask, batch, len))
        .transpose()?;
    if let Some(bias) = x.optional(5) {
        mask = Some(match mask {
            Some(mask) => binary("Add", &mask, bias)?,
            None => bias.clone(),
        });
    }
    attend(e, node, parts, heads(node)?, mask.as_ref())
}

/// Refuses features of `com.microsoft.MultiHeadAttention` that BERT does not use.
pub(crate) fn check_multi_head(node: &Node) -> Result<(), String> {
    node.only_without(&["unidirectional"])?;
    node.only_inputs_before(6, "past tokens")
}

/// ONNX's own operator: `[batch, heads, len, dim]` each, and a mask that is added or says what to
/// keep.
fn standard(e: &mut Evaluator, node: &Node, x: &Inputs) -> Result<Tensor, String> {
    check_standard(node)?;
    let (q, k, v) = (x.get(0)?, x.get(1)?, x.get(2)?);
    let scores = scores(e, node, q, k)?;
    let masked = match x.optional(3) {
        Some(mask) if mask.is_float() => binary("Add", &scores, mask)?,
        Some(mask) => {
            let bias = mask
                .to_ints()?
                .iter()
                .map(|&v| if v != 0 { 0.0 } else { f32::NEG_INFINITY })
                .collect();
            binary("Add", &scores, &Tensor::floats(&mask.shape, bias))?
        }
        None => scores,
    };
    matmul(e, &softmax_rows(&masked), v)
}

/// Refuses features of `Attention` that BERT does not use.
pub(crate) fn check_standard(node: &Node) -> Result<(), String> {
    // Two more would be for queries without an axis for heads.
    node.only_without(&[
        "is_causal",
        "softcap",
        "qk_matmul_output_mode",
        "kv_num_heads",
        "q_num_heads",
    ])?;
    node.only_inputs_before(4, "past tokens")
}

fn scores(e: &mut Evaluator, node: &Node, q: &Tensor, k: &Tensor) -> Result<Tensor, String> {
    let dim = q.shape.last().copied().unwrap_or(1) as f32;
    // onnxruntime's operators take 0 for the default.
    let scale = match node.float("scale", 0.0)? {
        0.0 => dim.sqrt().recip(),
        scale => scale,
    };
    Ok(map(&matmul(e, q, &swap(k))?, |v| v * scale))
}

fn attend(
    e: &mut Evaluator,
    node: &Node,
    parts: [Tensor; 3],
    heads: usize,
    mask: Option<&Tensor>,
) -> Result<Tensor, String> {
    let apart = |x: &Tensor| {
        let &[batch, len, hidden] = &x.shape[..] else {
            return Err(format!("an input of shape {:?}", x.shape));
        };
        let dim = hidden / heads;
        Ok(permute(
            &x.with_shape(&[batch, len, heads, dim])?,
            &[0, 2, 1, 3],
        ))
    };
    let scores = scores(e, node, &apart(&parts[0])?, &apart(&parts[1])?)?;
    let masked = match mask {
        Some(mask) => binary("Add", &scores, mask)?,
        None => scores,
    };
    let context = matmul(e, &softmax_rows(&masked), &apart(&parts[2])?)?;
    let joined = permute(&context, &[0, 2, 1, 3]);
    match &joined.data {
        Data::F32(_) => joined.with_shape(&parts[0].shape),
        _ => Err("attention over integers".into()),
    }
}
