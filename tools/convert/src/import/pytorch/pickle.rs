//! A virtual machine for pickles of tensors. It can build descriptions of tensors, numbers, texts
//! and containers, and nothing else. A pickle is a program, but this machine cannot call anything:
//! it knows the few globals of PyTorch's files by name and stops at any other.
//!
//! Containers live in an arena and are referred to by index. So cycles and deep nesting, which a
//! pickle can make in a few bytes, cost nothing. Whatever the machine makes is taken from the
//! source's [`Budget`], and stays taken: a program that loops over a long text or tuple ends.

use std::io::Read;

use super::globals::{self, Global};
use crate::import::budget::{Budget, GROWTH};
use crate::import::stream::Stream;

/// Bytes of a value: on the stack, and in the container that it moves to. A dictionary's pairs are
/// collected before they are added.
const VALUE: u64 = 3 * GROWTH * size_of::<Value>() as u64;
/// Bytes of a container besides its items; a vector begins with room for four.
const OBJECT: u64 = GROWTH * size_of::<Object>() as u64 + 4 * size_of::<Value>() as u64;
/// Bytes of a tensor with its shape and strides, here and as a view.
const TENSOR: u64 = GROWTH * size_of::<Tensor>() as u64 + 4 * 8 * globals::MAX_DIMS as u64;

/// A value on the stack.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Index of a text.
    Text(usize),
    Global(Global),
    /// Index of a tuple, list or dictionary.
    Object(usize),
    /// Index of a storage.
    Storage(usize),
    /// Index of a tensor.
    Tensor(usize),
    /// A value without effect here, such as an integer of any length.
    Opaque,
}

/// A container.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
}

/// A persistent object: a storage outside the pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    /// The type's name, such as `FloatStorage`.
    pub kind: globals::StorageKind,
    /// Index of the text that is its key. A pickle can name one long key many times.
    pub key: usize,
    /// Number of elements.
    pub len: u64,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    /// Index of the storage.
    pub storage: usize,
    /// Position of the first element.
    pub offset: u64,
    pub shape: Vec<u64>,
    pub stride: Vec<u64>,
}

/// The result of running a pickle.
#[derive(Debug, Default)]
pub(super) struct Heap {
    pub texts: Vec<String>,
    pub objects: Vec<Object>,
    pub storages: Vec<Storage>,
    pub tensors: Vec<Tensor>,
}

impl Heap {
    /// The text of a value.
    pub(super) fn text(&self, value: &Value) -> Option<&str> {
        match value {
            Value::Text(text) => self.texts.get(*text).map(String::as_str),
            _ => None,
        }
    }

    /// The key of a storage.
    pub(super) fn key(&self, storage: &Storage) -> &str {
        self.texts.get(storage.key).map_or("", String::as_str)
    }

    /// The entries of a dictionary.
    pub(super) fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a tuple.
    pub(super) fn tuple(&self, value: &Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a tuple or list.
    pub(super) fn items(&self, value: &Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(items) | Object::List(items) => Some(items),
            Object::Dict(_) => None,
        }
    }

    fn object(&self, value: &Value) -> Option<&Object> {
        match value {
            Value::Object(number) => self.objects.get(*number),
            _ => None,
        }
    }
}

/// Runs one pickle from the stream's position.
///
/// # Errors
/// Names the opcode or global that files of tensors do not have, and when the result would take
/// more than the budget.
pub(super) fn run<R: Read>(
    stream: &mut Stream<R>,
    budget: &Budget,
) -> Result<(Value, Heap), String> {
    let mut machine = Machine {
        stream,
        budget,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        heap: Heap::default(),
    };
    loop {
        let at = machine.stream.position();
        let opcode = machine.stream.byte()?;
        let step = machine.step(opcode);
        match step.map_err(|reason| format!("pickle, byte {at}: {reason}"))? {
            None => {}
            Some(result) => return Ok((result, machine.heap)),
        }
    }
}

struct Machine<'a, R> {
    stream: &'a mut Stream<R>,
    budget: &'a Budget,
    stack: Vec<Value>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: Vec<Value>,
    heap: Heap,
}

impl<R: Read> Machine<'_, R> {
    /// Runs an opcode. Returns the result if it is the last one.
    fn step(&mut self, opcode: u8) -> Result<Option<Value>, String> {
        match opcode {
            0x80 => self.protocol()?,
            // A frame's length is only a hint for reading ahead.
            0x95 => {
                self.stream.array::<8>()?;
            }
            b'.' => return self.pop().map(Some),
            b'(' => {
                self.budget.push::<usize>(1)?;
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => self.push(self.top()?.clone())?,
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'J' | b'K' | b'M' | 0x8a | b'G' => self.number(opcode)?,
            b'X' | 0x8c | b'U' | b'T' | b'B' | b'C' => self.text(opcode)?,
            b')' | b't' | 0x85..=0x87 => self.tuple(opcode)?,
            b']' | b'l' | b'a' | b'e' => self.list(opcode)?,
            b'}' | b'd' | b's' | b'u' => self.dict(opcode)?,
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memo(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'Q' => self.persistent()?,
            b'R' | 0x81 => self.reduce()?,
            b'b' => self.build()?,
            b'i' | b'o' | 0x92 => return Err("calls a class; only tensors are read".into()),
            b'I' | b'L' | b'F' | b'S' | b'V' | b'P' | b'p' | b'g' => {
                return Err("protocol 0 is not supported; save the model again".into());
            }
            other => return Err(format!("opcode {other:#04x} is not one that tensors need")),
        }
        Ok(None)
    }

    fn push(&mut self, value: Value) -> Result<(), String> {
        self.budget.take(VALUE)?;
        self.stack.push(value);
        Ok(())
    }

    /// Pops a value, but nothing below the last mark.
    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() > floor {
            self.stack.pop().ok_or_else(empty)
        } else {
            Err(empty())
        }
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(empty)
    }

    /// Everything above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("no mark on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn push_object(&mut self, object: Object) -> Result<(), String> {
        self.budget.take(OBJECT)?;
        self.push(Value::Object(self.heap.objects.len()))?;
        self.heap.objects.push(object);
        Ok(())
    }

    fn push_text(&mut self, text: String) -> Result<(), String> {
        self.budget.push::<String>(1)?;
        self.push(Value::Text(self.heap.texts.len()))?;
        self.heap.texts.push(text);
        Ok(())
    }

    fn protocol(&mut self) -> Result<(), String> {
        match self.stream.byte()? {
            2..=5 => Ok(()),
            other => Err(format!("protocol {other}; only 2 to 5 are supported")),
        }
    }

    fn number(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            b'J' => Value::Int(i32::from_le_bytes(self.stream.array()?).into()),
            b'K' => Value::Int(self.stream.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.stream.array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.stream.array()?)),
            _ => {
                let len = self.stream.byte()?;
                long(&self.stream.bytes(len.into())?)
            }
        };
        self.push(value)
    }

    fn text(&mut self, opcode: u8) -> Result<(), String> {
        let len = match opcode {
            0x8c | b'U' | b'C' => self.stream.byte()?.into(),
            _ => u32::from_le_bytes(self.stream.array()?),
        };
        self.budget.push::<u8>(len as usize)?;
        let bytes = self.stream.bytes(len.into())?;
        match opcode {
            b'B' | b'C' => self.push(Value::Opaque),
            _ => self.push_text(String::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?),
        }
    }

    fn tuple(&mut self, opcode: u8) -> Result<(), String> {
        let items = match opcode {
            b')' => Vec::new(),
            b't' => self.pop_mark()?,
            _ => {
                let mut items = Vec::new();
                for _ in 0..=opcode - 0x85 {
                    items.push(self.pop()?);
                }
                items.reverse();
                items
            }
        };
        self.push_object(Object::Tuple(items))
    }

    fn list(&mut self, opcode: u8) -> Result<(), String> {
        let mut items = match opcode {
            b']' => Vec::new(),
            b'a' => vec![self.pop()?],
            _ => self.pop_mark()?,
        };
        if matches!(opcode, b']' | b'l') {
            return self.push_object(Object::List(items));
        }
        match self.under()? {
            Object::List(list) => list.append(&mut items),
            _ => return Err("appends to something other than a list".into()),
        }
        Ok(())
    }

    fn dict(&mut self, opcode: u8) -> Result<(), String> {
        let items = match opcode {
            b'}' => Vec::new(),
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a key without a value".into());
        }
        let mut pairs: Vec<(Value, Value)> = pairs.iter().cloned().map(|[k, v]| (k, v)).collect();
        if matches!(opcode, b'}' | b'd') {
            return self.push_object(Object::Dict(pairs));
        }
        match self.under()? {
            Object::Dict(dict) => dict.append(&mut pairs),
            _ => return Err("sets a key of something other than a dictionary".into()),
        }
        Ok(())
    }

    /// The container on top of the stack.
    fn under(&mut self) -> Result<&mut Object, String> {
        match self.stack.last() {
            Some(&Value::Object(number)) => self.heap.objects.get_mut(number).ok_or_else(empty),
            _ => Err("adds to something other than a container".into()),
        }
    }

    fn memo(&mut self, opcode: u8) -> Result<(), String> {
        let place = match opcode {
            b'q' | b'h' => self.stream.byte()?.into(),
            0x94 => self.memo.len(),
            _ => u32::from_le_bytes(self.stream.array()?) as usize,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self.memo.get(place).cloned();
            return self.push(value.ok_or_else(|| format!("memo {place} is empty"))?);
        }
        let value = self.top()?.clone();
        self.budget.push::<Value>(1)?;
        let next = self.memo.len();
        match self.memo.get_mut(place) {
            Some(slot) => *slot = value,
            None if place == next => self.memo.push(value),
            None => return Err(format!("memo {place} is filled before memo {next}")),
        }
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<(), String> {
        let (module, name) = match opcode {
            b'c' => (self.stream.line()?, self.stream.line()?),
            _ => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.heap.text(&module), self.heap.text(&name)) {
                    (Some(module), Some(name)) => (module.to_owned(), name.to_owned()),
                    _ => return Err("a global whose name is not a text".into()),
                }
            }
        };
        let global = globals::find(&module, &name).ok_or_else(|| {
            format!("asks for {module}.{name}: only tensors are read, nothing is run")
        })?;
        self.push(Value::Global(global))
    }

    fn persistent(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let storage = globals::storage(&self.heap, &id)?;
        self.budget.push::<Storage>(1)?;
        self.push(Value::Storage(self.heap.storages.len()))?;
        self.heap.storages.push(storage);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callee else {
            return Err("calls something other than a global".into());
        };
        let arguments = self.heap.tuple(&arguments);
        let arguments = arguments.ok_or("arguments that are not a tuple")?;
        match globals::call(global, arguments, &self.heap, self.budget)? {
            globals::Made::Value(value) => self.push(value),
            globals::Made::Dict(pairs) => self.push_object(Object::Dict(pairs)),
            globals::Made::Tensor(tensor) => {
                self.budget.take(TENSOR)?;
                self.push(Value::Tensor(self.heap.tensors.len()))?;
                self.heap.tensors.push(tensor);
                Ok(())
            }
        }
    }

    /// State set on an object: PyTorch's dictionaries of tensors get the versions of their modules.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        match (self.under()?, state) {
            (Object::Dict(_), Value::Object(_)) => Ok(()),
            _ => Err("sets the state of something other than a dictionary".into()),
        }
    }
}

fn empty() -> String {
    "the stack is empty".into()
}

/// An integer of any length. Integers that do not fit have no meaning here.
fn long(bytes: &[u8]) -> Value {
    let Some(&last) = bytes.last() else {
        return Value::Int(0);
    };
    if bytes.len() > 8 {
        return Value::Opaque;
    }
    let mut all = [if last >= 0x80 { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(all))
}

#[cfg(test)]
mod tests;
