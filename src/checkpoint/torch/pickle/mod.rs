//! The content of a pickle as plain values.
//!
//! All values lie in one list and refer to each other by number. Cycles and deep nesting therefore
//! need neither recursion nor a stack. One limit holds for everything that a pickle can build.

mod reduce;
mod vm;

use crate::checkpoint::source::Stream;
use crate::error::Result;

/// The first opcode of every binary pickle.
pub(super) const PROTO: u8 = 0x80;

/// The position of a value in the list of all values.
pub(super) type Id = u32;

/// Values that exist once in every list.
pub(super) const NONE: Id = 0;
pub(super) const OPAQUE: Id = 1;
pub(super) const EMPTY_TUPLE: Id = 2;

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    None,
    /// A value that does not matter for weights: floats, bytes, truth values, very large integers.
    Opaque,
    Int(i64),
    Str(Box<str>),
    List(Vec<Id>),
    Tuple(Box<[Id]>),
    Dict(Vec<(Id, Id)>),
    /// A global name such as `torch.FloatStorage`. The name is not resolved.
    Global(Box<str>),
    /// The result of a call. The call itself was not made.
    Object {
        class: Id,
        state: Id,
        dict: Id,
    },
    /// A storage of values. `view` is the `(key, offset, size)` of an old file.
    Storage {
        kind: Id,
        key: Id,
        view: Id,
    },
    /// A tensor. `dtype` is [`NONE`] where the storage's kind gives the type.
    Tensor {
        storage: Id,
        offset: Id,
        size: Id,
        stride: Id,
        dtype: Id,
    },
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Values {
    all: Vec<Value>,
    /// The value that the pickle returns.
    pub(super) root: Id,
}

impl Values {
    pub(super) fn new(all: Vec<Value>, root: Id) -> Self {
        Self { all, root }
    }

    pub(super) fn get(&self, id: Id) -> &Value {
        self.all.get(id as usize).unwrap_or(&Value::None)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Value> {
        self.all.iter()
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Value::Str(text) | Value::Global(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        match self.get(id) {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The items of a list or tuple. `None` for any other value.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::List(items) => Some(items),
            Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.get(id) {
            Value::Dict(pairs) => Some(pairs),
            _ => None,
        }
    }
}

/// Reads one pickle up to its end.
///
/// # Errors
///
/// Returns an error if the pickle is damaged, uses the registry of extensions, or is larger than
/// any known checkpoint.
pub(super) fn parse(stream: &mut Stream<'_>) -> Result<Values> {
    vm::run(stream)
}
