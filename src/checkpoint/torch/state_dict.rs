//! Finds the weights among the values of a pickle: state dicts, nested ones included, and whole
//! modules.

use super::pickle::{Id, NONE, Value, Values};

/// The keys under which training scripts store a state dict, the most common first.
const WRAPPERS: [&str; 10] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "params",
    "params_ema",
    "net",
    "network",
    "weights",
    "module",
];
/// The largest number of dictionaries around a state dict.
const MAX_WRAPPERS: usize = 8;
/// The deepest nesting of weights.
const MAX_DEPTH: usize = 64;
/// A pickle can use one dictionary in many places. This limit and the next ones bound the work and
/// memory that such a pickle can cause.
const MAX_STEPS: usize = 1 << 22;
const MAX_NAME_BYTES: usize = 1 << 26;
const MAX_TENSORS: usize = 1 << 17;
const MAX_SKIPPED: usize = 1 << 16;

/// A tensor's name and its position among the values.
pub(super) type Named = (String, Id);

/// Finds the tensors in the values of a pickle. Its errors are causes without the file's name,
/// which the caller adds.
pub(super) struct StateDict<'a> {
    values: &'a Values,
    /// The values from the root to the current value. They reveal a cycle.
    path: Vec<Id>,
    /// The number of values visited so far.
    steps: usize,
    /// The length of all names so far, in bytes.
    name_bytes: usize,
    pub(super) tensors: Vec<Named>,
    pub(super) skipped: Vec<(String, String)>,
}

fn is_optimizer_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("optim") || key.contains("optimizer")
}

impl<'a> StateDict<'a> {
    /// Finds all weights of a pickle.
    pub(super) fn find(values: &'a Values) -> Result<Self, String> {
        let mut state = Self {
            values,
            path: Vec::new(),
            steps: 0,
            name_bytes: 0,
            tensors: Vec::new(),
            skipped: Vec::new(),
        };
        if state.is_optimizer("", values.root) {
            state.skip("(the whole file)", "state of an optimizer".to_owned())?;
            return Ok(state);
        }
        let root = state.unwrap(values.root)?;
        state.walk(root, "")?;
        Ok(state)
    }

    /// Finds the state dict inside the dictionary of a training script, and reports what the script
    /// stores with it.
    fn unwrap(&mut self, mut root: Id) -> Result<Id, String> {
        for _ in 0..MAX_WRAPPERS {
            let Some(pairs) = self.values.dict(root) else {
                break;
            };
            let is_tensor = |id| matches!(self.values.get(id), Value::Tensor { .. });
            if pairs.iter().any(|&(_, value)| is_tensor(value)) {
                break;
            }
            let mut inner = None;
            for wrapper in WRAPPERS {
                // If a key occurs twice, the last one counts, as in Python.
                let mut found = pairs.iter().rev();
                let found = found.find(|(key, _)| self.values.text(*key) == Some(wrapper));
                if let Some(&(_, value)) = found
                    && self.holds_tensors(value)?
                {
                    inner = Some((wrapper, value));
                    break;
                }
            }
            let Some((wrapper, inner)) = inner else {
                break;
            };
            for &(key, value) in pairs {
                let Some(key) = self.values.text(key).filter(|&key| key != wrapper) else {
                    continue;
                };
                self.count_name(key)?;
                if self.is_optimizer(key, value) {
                    self.skip(key, "state of an optimizer".to_owned())?;
                } else if self.holds_tensors(value)? {
                    let reason = format!("not a part of the weights, which are under `{wrapper}`");
                    self.skip(key, reason)?;
                }
            }
            root = inner;
        }
        Ok(root)
    }

    /// Counts one visited value, up to the limit.
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err("its containers hold too many values".to_owned());
        }
        Ok(())
    }

    /// Counts the length of a name, up to the limit.
    fn count_name(&mut self, name: &str) -> Result<(), String> {
        self.name_bytes += name.len();
        if self.name_bytes > MAX_NAME_BYTES {
            return Err("its names are too long".to_owned());
        }
        Ok(())
    }

    fn skip(&mut self, name: &str, reason: String) -> Result<(), String> {
        self.count_name(name)?;
        if self.skipped.len() >= MAX_SKIPPED {
            return Err("too many skipped values".to_owned());
        }
        self.skipped.push((name.to_owned(), reason));
        Ok(())
    }

    /// Whether a value is the state of an optimizer. Its key reveals this, or the keys of PyTorch's
    /// optimizers inside the value.
    fn is_optimizer(&self, key: &str, value: Id) -> bool {
        let Some(pairs) = self.values.dict(value) else {
            return is_optimizer_name(key) && self.values.items(value).is_some();
        };
        let has = |name| {
            pairs
                .iter()
                .any(|(key, _)| self.values.text(*key) == Some(name))
        };
        is_optimizer_name(key) || (pairs.len() <= 4 && has("state") && has("param_groups"))
    }

    /// Whether a value is a tensor or contains one.
    fn holds_tensors(&mut self, value: Id) -> Result<bool, String> {
        let mut seen = std::collections::HashSet::new();
        let mut todo = vec![value];
        while let Some(id) = todo.pop() {
            self.step()?;
            if !seen.insert(id) {
                continue;
            }
            match self.values.get(id) {
                Value::Tensor { .. } => return Ok(true),
                Value::List(items) => todo.extend(items),
                Value::Tuple(items) => todo.extend(items),
                Value::Dict(pairs) => todo.extend(pairs.iter().map(|(_, value)| value)),
                Value::Object { state, dict, .. } => todo.extend([state, dict]),
                _ => {}
            }
        }
        Ok(false)
    }

    /// Collects all tensors in a value, under names that begin with `name`.
    fn walk(&mut self, id: Id, name: &str) -> Result<(), String> {
        self.step()?;
        if let Value::Tensor { .. } = self.values.get(id) {
            self.count_name(name)?;
            if self.tensors.len() >= MAX_TENSORS {
                return Err(format!("more than {MAX_TENSORS} tensors"));
            }
            self.tensors.push((name.to_owned(), id));
            return Ok(());
        }
        if self.path.contains(&id) {
            return Ok(());
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(format!("weights nest deeper than {MAX_DEPTH} levels"));
        }
        self.path.push(id);
        let values = self.values;
        match values.get(id) {
            Value::Dict(pairs) => self.walk_dict(pairs, name)?,
            Value::List(items) => self.walk_items(items, name)?,
            Value::Tuple(items) => self.walk_items(items, name)?,
            &Value::Object { class, state, dict } => self.walk_object(class, state, dict, name)?,
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    /// The name `name.key`. It counts towards the limit even if no tensor is found under it.
    fn join(&mut self, name: &str, key: &str) -> Result<String, String> {
        self.count_name(name)?;
        self.count_name(key)?;
        Ok(if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}.{key}")
        })
    }

    /// Whether a value can contain no tensor, judged by its kind alone.
    fn is_leaf(&self, id: Id) -> bool {
        !matches!(
            self.values.get(id),
            Value::Tensor { .. }
                | Value::Dict(_)
                | Value::List(_)
                | Value::Tuple(_)
                | Value::Object { .. }
        )
    }

    fn walk_dict(&mut self, pairs: &[(Id, Id)], name: &str) -> Result<(), String> {
        for &(key, value) in pairs {
            self.step()?;
            if self.is_leaf(value) {
                continue;
            }
            let key = match self.values.get(key) {
                Value::Str(key) => self.join(name, key)?,
                Value::Int(key) => self.join(name, &key.to_string())?,
                _ => continue,
            };
            let last = key.rsplit('.').next().unwrap_or_default();
            if self.is_optimizer(last, value) {
                self.skip(&key, "state of an optimizer".to_owned())?;
                continue;
            }
            self.walk(value, &key)?;
        }
        Ok(())
    }

    fn walk_items(&mut self, items: &[Id], name: &str) -> Result<(), String> {
        for (index, &item) in items.iter().enumerate() {
            self.step()?;
            if !self.is_leaf(item) {
                let key = self.join(name, &index.to_string())?;
                self.walk(item, &key)?;
            }
        }
        Ok(())
    }

    fn walk_object(&mut self, class: Id, state: Id, dict: Id, name: &str) -> Result<(), String> {
        let class = self.values.text(class).unwrap_or_default();
        if class.starts_with("torch._utils._rebuild_") {
            let reason = format!("a tensor made by `{class:.64}`, which is not supported");
            return self.skip(name, reason);
        }
        if dict != NONE {
            self.walk(dict, name)?;
        }
        // The state of a class with slots is (attributes, slots).
        let state = match self.values.items(state) {
            Some(&[attributes, _]) => attributes,
            _ => state,
        };
        let Some(pairs) = self.values.dict(state) else {
            return Ok(());
        };
        self.steps += pairs.len();
        // A module stores its weights under these names, and has other attributes too.
        const MEMBERS: [&str; 3] = ["_parameters", "_buffers", "_modules"];
        let members = MEMBERS.map(|member| {
            let mut found = pairs.iter().rev();
            found.find(|(key, _)| self.values.text(*key) == Some(member))
        });
        if members.iter().all(Option::is_none) {
            return self.walk(state, name);
        }
        for &(_, member) in members.into_iter().flatten() {
            self.walk(member, name)?;
        }
        Ok(())
    }
}
