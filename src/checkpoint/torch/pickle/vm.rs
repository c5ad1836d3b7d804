//! A virtual machine for Python's pickles. It builds plain values and calls nothing.
//!
//! The opcodes are those of CPython's `Lib/pickletools.py`. Where a pickle asks for a call,
//! `reduce.rs` pushes the result that the call would have.

use std::collections::HashMap;

use super::{EMPTY_TUPLE, Id, NONE, OPAQUE, PROTO, Value, Values};
use crate::checkpoint::source::Stream;
use crate::error::Result;

/// The largest number of values that one pickle may build. A tensor takes about 16.
const MAX_VALUES: usize = 1 << 21;
/// The largest number of items in all containers of a pickle together.
const MAX_ITEMS: usize = 1 << 23;
/// The largest height of the stack, marks included.
const MAX_STACK_HEIGHT: usize = 1 << 20;
/// The longest name of a class or function in bytes. A short opcode can repeat a name.
const MAX_NAME_LENGTH: usize = 1 << 10;

/// Runs one pickle up to its end.
///
/// # Errors
///
/// Returns an error if the pickle is damaged, uses the registry of extensions, or is larger than
/// any known checkpoint.
pub(super) fn run(stream: &mut Stream<'_>) -> Result<Values> {
    let mut vm = Vm {
        stream,
        values: vec![Value::None, Value::Opaque, Value::Tuple(Box::new([]))],
        members: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let op = vm.stream.array::<1>()?[0];
        if op == b'.' {
            break;
        }
        vm.step(op)?;
    }
    let root = vm.pop()?;
    Ok(Values::new(vm.values, root))
}

/// The state of the machine while it runs one pickle.
pub(super) struct Vm<'a, 'f> {
    stream: &'a mut Stream<'f>,
    pub(super) values: Vec<Value>,
    /// The number of items counted so far in all containers.
    members: usize,
    stack: Vec<Id>,
    /// The height of the stack at each open mark.
    marks: Vec<usize>,
    /// Values that the pickle keeps under a number, to use them again.
    memo: HashMap<u64, Id>,
}

impl Vm<'_, '_> {
    /// An error that names the current byte.
    pub(super) fn format_error<T>(&self, cause: impl std::fmt::Display) -> Result<T> {
        Err(self.stream.format_error(format!("pickle: {cause}")))
    }

    pub(super) fn push(&mut self, id: Id) -> Result<()> {
        if self.stack.len() + self.marks.len() >= MAX_STACK_HEIGHT {
            return self.format_error("its stack is too large");
        }
        self.stack.push(id);
        Ok(())
    }

    /// Adds a value to the list of all values and returns its number.
    fn add(&mut self, value: Value) -> Result<Id> {
        if self.values.len() >= MAX_VALUES {
            return self.format_error(format!("more than {MAX_VALUES} values"));
        }
        self.values.push(value);
        Ok((self.values.len() - 1) as Id)
    }

    /// Adds a value to the list of all values and pushes it.
    pub(super) fn push_new(&mut self, value: Value) -> Result<()> {
        let id = self.add(value)?;
        self.push(id)
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return self.format_error("its stack is empty");
        }
        Ok(self.stack.pop().unwrap_or(NONE))
    }

    /// The top of the stack, which stays there.
    fn top(&mut self) -> Result<Id> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    /// Pops the last mark and everything above it.
    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let Some(mark) = self.marks.pop() else {
            return self.format_error("a mark is missing");
        };
        self.count(self.stack.len() - mark)?;
        Ok(self.stack.split_off(mark))
    }

    /// Counts new items of containers, up to the limit.
    pub(super) fn count(&mut self, members: usize) -> Result<()> {
        self.members += members;
        if self.members > MAX_ITEMS {
            return self.format_error(format!("more than {MAX_ITEMS} members of containers"));
        }
        Ok(())
    }

    /// Reads a little-endian number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Result<u64> {
        let bytes = self.stream.array::<N>()?;
        Ok(bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    fn string(&mut self, length: u64) -> Result<()> {
        let bytes = self.stream.take(length)?;
        // Python 2 wrote names as bytes, in any encoding.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.push_new(Value::Str(text.into()))
    }

    fn line(&mut self) -> Result<String> {
        let line = self.stream.line()?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn int_line(&mut self) -> Result<()> {
        let line = self.line()?;
        match line.trim_end_matches('L').parse() {
            Ok(int) => self.push_new(Value::Int(int)),
            Err(_) => self.push(OPAQUE),
        }
    }

    /// Pushes a little-endian integer of `length` bytes.
    fn long(&mut self, length: u64) -> Result<()> {
        let bytes = self.stream.take(length)?;
        if bytes.len() > 8 {
            return self.push(OPAQUE);
        }
        let sign = bytes.last().map_or(0, |b| if b >> 7 == 1 { -1 } else { 0 });
        let int = bytes
            .iter()
            .rev()
            .fold(sign, |n: i64, &b| n << 8 | i64::from(b));
        self.push_new(Value::Int(int))
    }

    fn tuple(&mut self, length: usize) -> Result<()> {
        let mut items = vec![NONE; length];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.count(length)?;
        self.push_new(Value::Tuple(items.into()))
    }

    fn memoize(&mut self, key: u64) -> Result<()> {
        let id = self.top()?;
        if self.memo.len() >= MAX_VALUES && !self.memo.contains_key(&key) {
            return self.format_error("its memo is too large");
        }
        self.memo.insert(key, id);
        Ok(())
    }

    /// Pushes the value that the memo holds under `key`.
    fn recall(&mut self, key: u64) -> Result<()> {
        match self.memo.get(&key) {
            Some(&id) => self.push(id),
            None => self.format_error(format!("the memo has no entry {key}")),
        }
    }

    fn key_line(&mut self) -> Result<u64> {
        let line = self.line()?;
        line.parse()
            .or_else(|_| self.format_error(format!("`{line}` is not a memo key")))
    }

    fn append(&mut self, list: Id, items: Vec<Id>) {
        if let Some(Value::List(list)) = self.values.get_mut(list as usize) {
            list.extend(items);
        }
    }

    /// Adds pairs to a dictionary, or to an object that is also a dictionary.
    fn set(&mut self, target: Id, pairs: &[Id]) -> Result<()> {
        let mut target = target;
        if let Some(Value::Object { dict: NONE, .. }) = self.values.get(target as usize) {
            let new = self.add(Value::Dict(Vec::new()))?;
            if let Some(Value::Object { dict, .. }) = self.values.get_mut(target as usize) {
                *dict = new;
            }
        }
        if let Some(Value::Object { dict, .. }) = self.values.get(target as usize) {
            target = *dict;
        }
        if let Some(Value::Dict(dict)) = self.values.get_mut(target as usize) {
            dict.extend(pairs.chunks_exact(2).map(|p| (p[0], p[1])));
        }
        Ok(())
    }

    fn push_dict(&mut self, items: &[Id]) -> Result<()> {
        let pairs = items.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        self.push_new(Value::Dict(pairs))
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        if module.len() + name.len() > MAX_NAME_LENGTH {
            return self.format_error("a name is too long");
        }
        self.push_new(Value::Global(format!("{module}.{name}").into()))
    }

    /// The text of a string or a global name. Empty for any other value and for a text that is too
    /// long.
    pub(super) fn text(&self, id: Id) -> &str {
        match self.values.get(id as usize) {
            Some(Value::Str(text) | Value::Global(text)) if text.len() <= MAX_NAME_LENGTH => text,
            _ => "",
        }
    }

    /// The items of a tuple or list. Empty for any other value.
    pub(super) fn items(&self, id: Id) -> &[Id] {
        match self.values.get(id as usize) {
            Some(Value::Tuple(items)) => items,
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    pub(super) fn object(&mut self, class: Id) -> Result<()> {
        self.push_new(Value::Object {
            class,
            state: NONE,
            dict: NONE,
        })
    }

    /// Runs BUILD, which gives an object its state.
    fn build(&mut self) -> Result<()> {
        let new = self.pop()?;
        let target = self.top()?;
        // Other values may have attributes too, for example the versions of a state dict. These
        // attributes do not matter here.
        if let Some(Value::Object { state, .. }) = self.values.get_mut(target as usize) {
            *state = new;
        }
        Ok(())
    }

    /// Runs one opcode.
    fn step(&mut self, op: u8) -> Result<()> {
        match op {
            PROTO => self.stream.skip(1),
            0x95 => self.stream.skip(8), // FRAME, a hint for buffered reading
            b'(' => {
                self.push(NONE)?;
                self.stack.pop();
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => {
                // POP removes a mark if the mark is on top.
                let floor = self.marks.last().copied();
                if floor == Some(self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(drop)
            }
            b'1' => self.since_mark().map(drop),
            b'2' => self.top().and_then(|id| self.push(id)),
            b'N' => self.push(NONE),
            0x88 | 0x89 => self.push(OPAQUE),
            b'I' | b'L' => self.int_line(),
            b'J' => {
                let int = i32::from_le_bytes(self.stream.array()?);
                self.push_new(Value::Int(int.into()))
            }
            b'K' | b'M' => {
                let int = if op == b'K' {
                    self.number::<1>()?
                } else {
                    self.number::<2>()?
                };
                self.push_new(Value::Int(int as i64))
            }
            0x8a => self.number::<1>().and_then(|n| self.long(n)),
            0x8b => self.number::<4>().and_then(|n| self.long(n)),
            b'F' => self.line().and_then(|_| self.push(OPAQUE)),
            b'G' => self.stream.skip(8).and_then(|()| self.push(OPAQUE)),
            b'S' => {
                let line = self.line()?;
                let text = line.trim_matches(['\'', '"']);
                self.push_new(Value::Str(text.into()))
            }
            b'V' => {
                let line = self.line()?;
                self.push_new(Value::Str(line.into()))
            }
            b'U' | 0x8c => self.number::<1>().and_then(|n| self.string(n)),
            b'T' | b'X' => self.number::<4>().and_then(|n| self.string(n)),
            0x8d => self.number::<8>().and_then(|n| self.string(n)),
            b'C' | b'B' | 0x8e | 0x96 => {
                let length = match op {
                    b'C' => self.number::<1>()?,
                    b'B' => self.number::<4>()?,
                    _ => self.number::<8>()?,
                };
                self.stream.skip(length)?;
                self.push(OPAQUE)
            }
            b']' | 0x8f => self.push_new(Value::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.count(1)?;
                let list = self.top()?;
                self.append(list, vec![item]);
                Ok(())
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                let list = self.top()?;
                self.append(list, items);
                Ok(())
            }
            b'l' | 0x91 => {
                let items = self.since_mark()?;
                self.push_new(Value::List(items))
            }
            b')' => self.push(EMPTY_TUPLE),
            b't' => {
                let items = self.since_mark()?;
                self.push_new(Value::Tuple(items.into()))
            }
            0x85..=0x87 => self.tuple(usize::from(op - 0x84)),
            b'}' => self.push_new(Value::Dict(Vec::new())),
            b'd' => {
                let items = self.since_mark()?;
                self.push_dict(&items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.count(2)?;
                let target = self.top()?;
                self.set(target, &[key, value])
            }
            b'u' => {
                let items = self.since_mark()?;
                let target = self.top()?;
                self.set(target, &items)
            }
            b'p' => self.key_line().and_then(|key| self.memoize(key)),
            b'q' => self.number::<1>().and_then(|key| self.memoize(key)),
            b'r' => self.number::<4>().and_then(|key| self.memoize(key)),
            0x94 => self.memoize(self.memo.len() as u64),
            b'g' => self.key_line().and_then(|key| self.recall(key)),
            b'h' => self.number::<1>().and_then(|key| self.recall(key)),
            b'j' => self.number::<4>().and_then(|key| self.recall(key)),
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (name, module) = (self.text(name).to_owned(), self.text(module).to_owned());
                self.global(&module, &name)
            }
            b'R' | 0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.push_call_result(class, args)
            }
            0x92 => {
                let (_, args) = (self.pop()?, self.pop()?);
                let class = self.pop()?;
                self.push_call_result(class, args)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.since_mark()?;
                self.global(&module, &name)?;
                let class = self.pop()?;
                self.object(class)
            }
            b'o' => {
                let items = self.since_mark()?;
                let class = items.first().copied().unwrap_or(NONE);
                self.object(class)
            }
            b'b' => self.build(),
            b'Q' => {
                let id = self.pop()?;
                self.push_persistent(id)
            }
            b'P' => {
                let line = self.line()?;
                self.format_error(format!("unsupported persistent id `{line}`"))
            }
            _ => self.format_error(format!("opcode {op:#04x} is unknown or not allowed")),
        }
    }
}
