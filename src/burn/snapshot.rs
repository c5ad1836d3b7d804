//! Copies the weights of a burn model to the host.

use std::time::Instant;

use ::burn::module::{Module, ModuleVisitor, Param};
use ::burn::tensor::{Bool, Int, Tensor, Transaction};

use crate::matrix::{LayerTensor, Layout, SkipReason};
use crate::monitor::{Selection, Snapshot};
use crate::record::SkippedLayer;

/// Copies the selected weights of a model to the host, in one batched read.
///
/// # Errors
///
/// If none of the selected parameters is initialised, or the device cannot be read. Parameters that
/// are not initialised remain so.
pub(super) fn take<M: Module>(model: &M, selection: &Selection) -> Result<Snapshot, String> {
    let start = Instant::now();
    let mut scan = Scan {
        selection,
        path: Vec::new(),
        container: Vec::new(),
        read: Some(Transaction::default()),
        snapshot: Snapshot::default(),
        lazy: Vec::new(),
    };
    model.visit(&mut scan);
    let mut snapshot = scan.snapshot;
    if let (Some(first), true) = (scan.lazy.first(), snapshot.tensors.is_empty()) {
        return Err(format!(
            "{} parameters are not initialised yet (`{first}` is the first): see `heavytail::burn::initialize`",
            scan.lazy.len()
        ));
    }
    if let (Some(read), false) = (scan.read, snapshot.tensors.is_empty()) {
        let data = read.try_execute().map_err(|e| format!("{e:?}"))?;
        for (tensor, data) in snapshot.tensors.iter_mut().zip(data) {
            tensor.values = data
                .try_cast_as::<f32>()
                .and_then(|d| d.try_into_vec::<f32>())
                .map_err(|e| format!("`{}`: {e:?}", tensor.name))?;
        }
    }
    snapshot.seconds = start.elapsed().as_secs_f64();
    Ok(snapshot)
}

struct Scan<'a> {
    selection: &'a Selection,
    path: Vec<String>,
    container: Vec<String>,
    /// Always Some between two visits.
    read: Option<Transaction>,
    snapshot: Snapshot,
    lazy: Vec<String>,
}

impl ModuleVisitor for Scan<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.container.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.container.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let shape = param.lazy_shape().to_vec();
        let layout = self.container.last().and_then(|c| layout(c));
        match self.selection.layout(&name, layout, &shape) {
            Err(why) => self
                .snapshot
                .skipped
                .push(SkippedLayer { name, shape, why }),
            Ok(_) if !param.is_initialized() => {
                self.lazy.push(name.clone());
                self.snapshot.skipped.push(SkippedLayer {
                    name,
                    shape,
                    why: SkipReason::NotInitialised,
                });
            }
            Ok(layout) => {
                let weights = param.val().without_autodiff().dequantize();
                self.read = self.read.take().map(|read| read.register(weights));
                self.snapshot.tensors.push(LayerTensor {
                    name,
                    layout,
                    shape,
                    values: Vec::new(),
                });
            }
        }
    }
}

/// Layout of a `weight`, from the type of the module that holds it.
fn layout(container: &str) -> Option<Layout> {
    let name = container.rsplit(':').next().unwrap_or(container);
    match name {
        "Conv1d" | "Conv2d" | "Conv3d" | "DeformConv2d" => Some(Layout::Conv),
        "ConvTranspose1d" | "ConvTranspose2d" | "ConvTranspose3d" => Some(Layout::ConvTranspose),
        _ => None,
    }
}

pub(super) fn initialize<M: Module>(model: &M) {
    struct Touch;
    impl ModuleVisitor for Touch {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            param.val();
        }
        fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
            param.val();
        }
        fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
            param.val();
        }
    }
    model.visit(&mut Touch);
}
