//! The globals that files of tensors name, and their meaning.

use super::pickle::{Heap, Storage, Tensor, Value};
use crate::import::budget::Budget;
use crate::import::elements::Element;

/// Most dimensions of a tensor.
pub(super) const MAX_DIMS: usize = 8;

/// A known global.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(StorageKind),
}

/// Type of a storage's elements.
pub(super) type StorageKind = Element;

const STORAGES: [(&str, StorageKind); 10] = [
    ("DoubleStorage", Element::F64),
    ("FloatStorage", Element::F32),
    ("HalfStorage", Element::F16),
    ("BFloat16Storage", Element::Bf16),
    ("LongStorage", Element::I64),
    ("IntStorage", Element::I32),
    ("ShortStorage", Element::I16),
    ("CharStorage", Element::I8),
    ("ByteStorage", Element::U8),
    ("BoolStorage", Element::Bool),
];

/// The global with this name, if tensors need it.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
        ("torch", _) => {
            let known = STORAGES.iter().find(|(known, _)| *known == name);
            known.map(|(_, kind)| Global::Storage(*kind))
        }
        _ => None,
    }
}

/// The result of a call.
pub(super) enum Made {
    Value(Value),
    Dict(Vec<(Value, Value)>),
    Tensor(Tensor),
}

/// Does what calling the global would do.
///
/// # Errors
/// When the arguments do not describe a tensor, or the result would take more than the budget.
pub(super) fn call(
    global: Global,
    arguments: &[Value],
    heap: &Heap,
    budget: &Budget,
) -> Result<Made, String> {
    match (global, arguments) {
        (Global::OrderedDict, []) => Ok(Made::Dict(Vec::new())),
        (Global::OrderedDict, [pairs]) => ordered_dict(heap, pairs, budget),
        (Global::RebuildTensor, [storage, offset, shape, stride, ..]) if arguments.len() <= 7 => {
            tensor(heap, storage, offset, shape, stride).map(Made::Tensor)
        }
        // The tensor, whether it has a gradient, hooks.
        (Global::RebuildParameter, [tensor @ Value::Tensor(_), _, _]) => {
            Ok(Made::Value(tensor.clone()))
        }
        _ => Err(format!("{global:?} with {} arguments", arguments.len())),
    }
}

fn ordered_dict(heap: &Heap, pairs: &Value, budget: &Budget) -> Result<Made, String> {
    let wrong = "OrderedDict of something other than pairs";
    let pairs = heap.items(pairs).ok_or(wrong)?;
    // A few bytes of a pickle can copy a long list again and again.
    budget.push::<(Value, Value)>(pairs.len())?;
    let pair = |pair: &Value| match heap.items(pair) {
        Some([key, value]) => Ok((key.clone(), value.clone())),
        _ => Err(wrong),
    };
    let pairs: Result<Vec<_>, _> = pairs.iter().map(pair).collect();
    Ok(Made::Dict(pairs?))
}

fn tensor(
    heap: &Heap,
    storage: &Value,
    offset: &Value,
    shape: &Value,
    stride: &Value,
) -> Result<Tensor, String> {
    let &Value::Storage(storage) = storage else {
        return Err("a tensor without a storage".into());
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    };
    let numbers = |value: &Value| -> Option<Vec<u64>> {
        let items = heap.tuple(value).filter(|items| items.len() <= MAX_DIMS)?;
        items.iter().map(number).collect()
    };
    let tensor = (|| {
        Some(Tensor {
            storage,
            offset: number(offset)?,
            shape: numbers(shape)?,
            stride: numbers(stride)?,
        })
    })();
    let tensor = tensor.filter(|tensor| tensor.shape.len() == tensor.stride.len());
    tensor.ok_or_else(|| "a tensor whose offset, shape or strides make no sense".into())
}

/// The storage of a persistent id: `('storage', type, key, device, length)`, in older files
/// followed by a view.
///
/// # Errors
/// When the id has another form.
pub(super) fn storage(heap: &Heap, id: &Value) -> Result<Storage, String> {
    let wrong = || "a persistent id that is not a storage's".to_owned();
    let items = heap.tuple(id).ok_or_else(wrong)?;
    let ([tag, kind, key, _device, len] | [tag, kind, key, _device, len, Value::None]) = items
    else {
        return Err(wrong());
    };
    match (heap.text(tag), kind, key, len) {
        (
            Some("storage"),
            &Value::Global(Global::Storage(kind)),
            &Value::Text(key),
            &Value::Int(len),
        ) => Ok(Storage {
            kind,
            key,
            len: u64::try_from(len).map_err(|_| wrong())?,
        }),
        _ => Err(wrong()),
    }
}
