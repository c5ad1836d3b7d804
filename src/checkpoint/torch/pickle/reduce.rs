//! The results of the calls in a pickle: `REDUCE` and the opcodes like it.
//!
//! A dozen names are known. Their calls become the description of a tensor or a dictionary. Any
//! other call becomes an object of that name. No call is ever executed.

use super::vm::Vm;
use super::{Id, NONE, Value};
use crate::error::Result;

/// The longest name of a storage in bytes. PyTorch names storages by numbers.
const MAX_KEY_LENGTH: usize = 1 << 8;
/// The largest number of arguments that is read. No known call has more.
const MAX_ARGUMENTS: usize = 8;

impl Vm<'_, '_> {
    /// The first [`MAX_ARGUMENTS`] items of a tuple.
    fn first_arguments(&self, id: Id) -> Vec<Id> {
        self.items(id).iter().take(MAX_ARGUMENTS).copied().collect()
    }

    /// Pushes a dictionary made from a list of pairs.
    fn dict_from(&mut self, list: Id) -> Result<()> {
        // The items are counted before the loop, because a short opcode can name a long list
        // repeatedly.
        self.count(self.items(list).len() * 2)?;
        let pairs = self.items(list).iter().map(|&pair| self.items(pair));
        let pairs = pairs.filter_map(|pair| match *pair {
            [key, value] => Some((key, value)),
            _ => None,
        });
        let pairs = pairs.collect();
        self.push_new(Value::Dict(pairs))
    }

    /// Pushes the result of a call of `class`, or of `class.__new__`.
    pub(super) fn push_call_result(&mut self, class: Id, args: Id) -> Result<()> {
        let items = self.first_arguments(args);
        let item = |index: usize| items.get(index).copied().unwrap_or(NONE);
        match (self.text(class), items.as_slice()) {
            // Protocols 0 and 1 pass the pairs as the argument.
            ("collections.OrderedDict", _) => self.dict_from(item(0)),
            // The argument of a `defaultdict` is the function that makes missing values.
            ("collections.defaultdict", _) => self.dict_from(NONE),
            (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                &[storage, offset, size, stride, ..],
            ) => self.push_new(Value::Tensor {
                storage,
                offset,
                size,
                stride,
                dtype: NONE,
            }),
            // The storage of such a tensor has no type, so the call gives it.
            ("torch._utils._rebuild_tensor_v3", &[storage, offset, size, stride, ..]) => self
                .push_new(Value::Tensor {
                    storage,
                    offset,
                    size,
                    stride,
                    dtype: item(6),
                }),
            (
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter",
                &[data, ..],
            ) => self.push(data),
            // A subclass of tensors: (function, class, the function's arguments, state).
            (name @ "torch._tensor._rebuild_from_type_v2", &[function, _, args, ..])
                if self.text(function) != name =>
            {
                self.push_call_result(function, args)
            }
            // Protocols 0 and 1 make objects by this call: (class, base, state).
            ("copy_reg._reconstructor" | "copyreg._reconstructor", &[class, ..]) => {
                self.object(class)
            }
            _ => self.object(class),
        }
    }

    /// Pushes the value of a persistent id, PyTorch's reference to data outside the pickle.
    pub(super) fn push_persistent(&mut self, id: Id) -> Result<()> {
        let items = self.first_arguments(id);
        let what = items.first().map_or("", |&what| self.text(what));
        match (what, items.as_slice()) {
            ("storage", &[_, kind, key, ..]) => {
                if self.text(key).is_empty() || self.text(key).len() > MAX_KEY_LENGTH {
                    return self.format_error("invalid storage name");
                }
                let view = items.get(5).copied().unwrap_or(NONE);
                self.push_new(Value::Storage { kind, key, view })
            }
            // A class with its source code. Saved whole modules contain it.
            ("module", &[_, class, ..]) => self.push(class),
            _ => self.format_error("unsupported persistent id"),
        }
    }
}
