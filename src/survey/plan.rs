//! Lists the rows of a checkpoint and the tensors that must be read for them.

use std::collections::{HashSet, VecDeque};

use super::lora::{Adapter, adapters};
use super::options::SurveyOptions;
use super::parts::{Part, heads, parts};
use crate::checkpoint::{Checkpoint, TensorInfo};
use crate::matrix::SkipReason;
use crate::record::{LayerShape, Record, Stamp};

/// One row to compute.
pub(super) struct Task {
    /// The position of the tensor in the checkpoint.
    pub(super) index: usize,
    pub(super) row: usize,
    pub(super) part: Part,
}

/// The unit of work of a thread: all rows of one tensor or of one adapter.
pub(super) enum Job {
    Tensor(Vec<Task>),
    Adapter { adapter: Adapter, rows: Vec<usize> },
}

impl Job {
    fn rows(&self) -> Vec<usize> {
        match self {
            Job::Tensor(tasks) => tasks.iter().map(|t| t.row).collect(),
            Job::Adapter { rows, .. } => rows.clone(),
        }
    }
}

/// The rows of a checkpoint and the jobs that fill them.
pub(super) struct Plan {
    /// All rows, at first marked as skipped.
    pub(super) rows: Vec<Record>,
    /// The tensor and the part that each row describes. `None` for a row without a
    /// tensor of its own, for example the product of an adapter.
    pub(super) sources: Vec<Option<(usize, Part)>>,
    pub(super) queue: VecDeque<Job>,
    /// The rows that belong to other parts of the survey.
    pub(super) other_parts: HashSet<usize>,
}

impl Plan {
    pub(super) fn new(checkpoint: &Checkpoint, options: &SurveyOptions, run: &str) -> Self {
        let tensors = checkpoint.tensors();
        let mut rows: Vec<Record> = Vec::new();
        let mut sources = Vec::new();
        let mut queue: VecDeque<Job> = VecDeque::new();
        let adapters = adapters(tensors);
        let factors: HashSet<usize> = adapters.iter().flat_map(|a| [a.a, a.b]).collect();
        for (index, tensor) in tensors.iter().enumerate() {
            if factors.contains(&index) {
                continue;
            }
            match parts_of(tensor, tensors, options) {
                Ok(parts) => {
                    let mut tasks = Vec::new();
                    for part in parts {
                        let row = rows.len();
                        let small = too_small(&part, options);
                        let why = small.clone().unwrap_or(SkipReason::NotYet);
                        rows.push(skipped(run, row, &part.name, &part.shape, why));
                        if small.is_none() {
                            sources.resize(row, None);
                            sources.push(Some((index, part.clone())));
                            tasks.push(Task { index, row, part });
                        }
                    }
                    if !tasks.is_empty() {
                        queue.push_back(Job::Tensor(tasks));
                    }
                }
                // Vectors are no weight matrices and have no row. Every other tensor has one.
                Err(None) => {}
                Err(Some(why)) => {
                    let row = rows.len();
                    rows.push(skipped(run, row, &tensor.name, &tensor.shape, why));
                }
            }
        }
        for adapter in adapters {
            let mut mine = Vec::new();
            let kinds: &[&str] = if options.base.is_some() {
                &["lora", "merged"]
            } else {
                &["lora"]
            };
            let wanted = options.selection.includes(&adapter.layer);
            for kind in kinds {
                let row = rows.len();
                let name = adapter.row(kind);
                let why = if wanted {
                    SkipReason::NotYet
                } else {
                    SkipReason::Excluded
                };
                rows.push(skipped(run, row, &name, &[], why));
                mine.push(row);
            }
            if wanted {
                queue.push_back(Job::Adapter {
                    adapter,
                    rows: mine,
                });
            }
        }
        for (name, why) in checkpoint.skipped() {
            let row = rows.len();
            let message = why.clone();
            rows.push(skipped(
                run,
                row,
                name,
                &[],
                SkipReason::Unreadable { message },
            ));
        }
        for (name, why) in checkpoint.missing() {
            let (row, layer) = (rows.len(), layer_shape(name, &[]));
            rows.push(if options.selection.includes(name) {
                Record::failed(run, Stamp::default(), row, layer, why.as_str())
            } else {
                Record::skipped(run, Stamp::default(), row, layer, SkipReason::Excluded)
            });
        }
        sources.resize(rows.len(), None);
        Self {
            rows,
            sources,
            queue,
            other_parts: HashSet::new(),
        }
    }

    /// Keeps every n-th job. Rows without a job belong to part 0.
    pub(super) fn keep_part(&mut self, i: usize, n: usize) {
        let mut idle: HashSet<usize> = (0..self.rows.len()).collect();
        let jobs = std::mem::take(&mut self.queue);
        for (at, job) in jobs.into_iter().enumerate() {
            let mine = at % n.max(1) == i;
            for row in job.rows() {
                idle.remove(&row);
                if !mine {
                    self.other_parts.insert(row);
                }
            }
            if mine {
                self.queue.push_back(job);
            }
        }
        if i > 0 {
            self.other_parts.extend(idle);
        }
    }
}

/// The parts of a tensor, or the reason why it has none. A vector has no parts and no reason.
fn parts_of(
    tensor: &TensorInfo,
    all: &[TensorInfo],
    options: &SurveyOptions,
) -> Result<Vec<Part>, Option<SkipReason>> {
    if let Some(other) = &tensor.shared_with {
        let to = other.clone();
        return Err((tensor.shape.len() > 1).then_some(SkipReason::Tied { to }));
    }
    let others = all.iter().map(|t| (t.name.as_str(), t.shape.as_slice()));
    match parts(&tensor.name, &tensor.shape, others) {
        Err(SkipReason::Vector) => Err(None),
        Err(why) => Err(Some(why)),
        Ok(_) if !options.selection.includes(&tensor.name) => Err(Some(SkipReason::Excluded)),
        Ok(parts) => Ok(match options.heads {
            Some(count) => heads(parts, count),
            None => parts,
        }),
    }
}

/// The reason to skip a part with too few eigenvalues.
fn too_small(part: &Part, options: &SurveyOptions) -> Option<SkipReason> {
    let (rows, cols) = part.sides();
    let (found, needed) = (rows.min(cols), options.min_evals);
    (found < needed).then_some(SkipReason::TooFewEigenvalues { found, needed })
}

pub(super) fn skipped(
    run: &str,
    id: usize,
    name: &str,
    shape: &[usize],
    why: SkipReason,
) -> Record {
    Record::skipped(run, Stamp::default(), id, layer_shape(name, shape), why)
}

pub(super) fn layer_shape(name: &str, shape: &[usize]) -> LayerShape {
    LayerShape {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}
