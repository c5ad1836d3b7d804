//! `REDUCE` and its relatives: what the calls in a pickle would return.
//!
//! A dozen names are known and become a tensor's description or a dictionary. Any other call
//! becomes an object of that name, which nobody runs.

use super::vm::Vm;
use super::{Id, NONE, Value};
use crate::error::Result;

/// A storage's name is a number.
const MAX_KEY_LENGTH: usize = 1 << 8;
/// No call that is known has more arguments.
const MAX_ARGUMENTS: usize = 8;

impl Vm<'_, '_> {
    /// The first members of a tuple.
    fn few(&self, id: Id) -> Vec<Id> {
        self.items(id).iter().take(MAX_ARGUMENTS).copied().collect()
    }

    /// A dictionary from a list of pairs.
    fn dict_from(&mut self, list: Id) -> Result<()> {
        // Counted before it is walked: a short opcode can name a long list again and again.
        self.count(self.items(list).len() * 2)?;
        let pairs = self.items(list).iter().map(|&pair| self.items(pair));
        let pairs = pairs.filter_map(|pair| match *pair {
            [key, value] => Some((key, value)),
            _ => None,
        });
        let pairs = pairs.collect();
        self.push_new(Value::Dict(pairs))
    }

    /// The result of a call of `class`, or of `class.__new__`.
    pub(super) fn call(&mut self, class: Id, args: Id) -> Result<()> {
        let items = self.few(args);
        let item = |index: usize| items.get(index).copied().unwrap_or(NONE);
        match (self.text(class), items.as_slice()) {
            // Protocols 0 and 1 give the pairs in the call.
            ("collections.OrderedDict", _) => self.dict_from(item(0)),
            // The argument is what makes values that are missing.
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
            // Its storage has no type, so the call gives it.
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
                self.call(function, args)
            }
            // How protocols 0 and 1 make objects: (class, base, state).
            ("copy_reg._reconstructor" | "copyreg._reconstructor", &[class, ..]) => {
                self.object(class)
            }
            _ => self.object(class),
        }
    }

    /// PyTorch's names for what lies outside the pickle.
    pub(super) fn persistent(&mut self, id: Id) -> Result<()> {
        let items = self.few(id);
        let what = items.first().map_or("", |&what| self.text(what));
        match (what, items.as_slice()) {
            ("storage", &[_, kind, key, ..]) => {
                if self.text(key).is_empty() || self.text(key).len() > MAX_KEY_LENGTH {
                    return self.bad("a storage's name is no name");
                }
                let view = items.get(5).copied().unwrap_or(NONE);
                self.push_new(Value::Storage { kind, key, view })
            }
            // A class with its source, in whole modules.
            ("module", &[_, class, ..]) => self.push(class),
            _ => self.bad("a reference to something outside that is no storage"),
        }
    }
}
