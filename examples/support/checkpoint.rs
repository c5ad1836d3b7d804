//! Continues a training after `kill -9` with the same results as without the interruption.
//! Checkpoints are complete or absent. The order of images and the random numbers depend only on
//! the epoch. The log ends at the epoch of the checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use burn::{
    data::dataloader::{DataLoader, DataLoaderIterator},
    tensor::Device,
    train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError},
};
use serde_json::Value;

/// The parts of a checkpoint. A learner needs all three.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];
/// The number of checkpoints that are kept of each part. The parts are written independently of
/// each other.
pub const KEPT_CHECKPOINTS: usize = 3;

/// The checkpoints of a run, and the epoch at which it continues.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// The number of finished epochs. It is 0 at the beginning.
    pub epoch: usize,
}

impl Checkpoints {
    /// Finds the last epoch at which the run in `folder` can continue, and cuts its log there. The
    /// very last epoch of a run is never used, because the results at its end would be missing.
    pub fn open(folder: &Path, epochs: usize, observed_every: usize) -> Result<Self> {
        let log = folder.join("log.jsonl");
        let lines = read_log(&log)?;
        let has = |kind: &str, epoch: usize, name: Option<&str>| {
            lines.iter().any(|(_, line)| {
                line["kind"] == kind
                    && line["epoch"] == epoch
                    && name.is_none_or(|name| line["name"] == name)
            })
        };
        let checkpoints = folder.join("checkpoint");
        let complete = |epoch: &usize| {
            PARTS
                .iter()
                .all(|part| file(&checkpoints, part, *epoch).exists())
                // burn reports metrics in alphabetical order, so the loss is the last.
                && has("scalar", *epoch, Some("valid loss"))
                && (!epoch.is_multiple_of(observed_every) || has("summary", *epoch, None))
        };
        let epoch = (1..epochs).rev().find(complete).unwrap_or(0);
        if epoch == 0 {
            for old in ["log.jsonl", "layers.csv"] {
                remove(fs::remove_file(folder.join(old)))?;
            }
            for old in ["checkpoint", "spectra", "burn"] {
                remove(fs::remove_dir_all(folder.join(old)))?;
            }
        } else {
            let kept: String = lines
                .iter()
                .filter(|(_, line)| line["epoch"].as_u64().is_none_or(|e| e <= epoch as u64))
                .map(|(text, _)| format!("{text}\n"))
                .collect();
            let part = folder.join("log.part");
            fs::write(&part, kept)
                .and_then(|()| fs::rename(&part, &log))
                .with_context(|| log.display().to_string())?;
        }
        Ok(Self {
            folder: checkpoints,
            epoch,
        })
    }

    /// The checkpointer of one of [`PARTS`].
    pub fn writer(&self, part: &'static str) -> Writer {
        Writer {
            folder: self.folder.clone(),
            part,
        }
    }

    /// Removes the checkpoints of a run that needs them no longer.
    pub fn clear(folder: &Path) -> Result<()> {
        remove(fs::remove_dir_all(folder.join("checkpoint")))
    }
}

/// The complete lines of a log. Empty if there is no log.
fn read_log(path: &Path) -> Result<Vec<(String, Value)>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    String::from_utf8_lossy(&bytes[..whole])
        .lines()
        .map(|line| Ok((line.to_owned(), serde_json::from_str(line)?)))
        .collect::<Result<_>>()
        .with_context(|| path.display().to_string())
}

/// Treats a missing file as removed.
fn remove(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

fn file(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

/// burn's file checkpointer with the difference that each file is complete or absent.
pub struct Writer {
    folder: PathBuf,
    part: &'static str,
}

impl<R: Checkpoint> Checkpointer<R> for Writer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        fs::create_dir_all(&self.folder).map_err(CheckpointerError::IOError)?;
        let path = file(&self.folder, self.part, epoch);
        let part = self.folder.join(format!("part-{}.bpk", self.part));
        record.save(part.clone())?;
        fs::rename(part, path).map_err(CheckpointerError::IOError)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        R::load(file(&self.folder, self.part, epoch))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        match fs::remove_file(file(&self.folder, self.part, epoch)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(CheckpointerError::IOError(e))
            }
            _ => Ok(()),
        }
    }
}

/// A data loader that gives the same batches after a restart as in a run without interruption.
pub struct ResumableLoader<O> {
    inner: Arc<dyn DataLoader<O>>,
    device: Device,
    seed: u64,
    epoch: AtomicU64,
}

impl<O: Send + 'static> ResumableLoader<O> {
    pub fn new(inner: Arc<dyn DataLoader<O>>, device: Device, seed: u64, epoch: usize) -> Self {
        Self {
            inner,
            device,
            seed,
            epoch: AtomicU64::new(epoch as u64),
        }
    }
}

impl<O: Send + 'static> DataLoader<O> for ResumableLoader<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        // These random numbers are for dropout. The first epoch continues the sequence that drew
        // the weights.
        if epoch > 0 {
            self.device.seed(self.seed ^ (epoch << 32));
        }
        self.inner.iter()
    }

    fn num_items(&self) -> usize {
        self.inner.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        let inner = self.inner.to_device(device);
        let epoch = self.epoch.load(Ordering::Relaxed);
        for _ in 0..epoch {
            // Each pass shuffles the images again. These passes belong to the finished epochs.
            drop(inner.iter());
        }
        Arc::new(Self::new(inner, device.clone(), self.seed, epoch as usize))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        self.inner.slice(start, end)
    }
}

#[cfg(test)]
mod tests {
    use burn::{data::dataloader::DataLoaderBuilder, tensor::Distribution, tensor::Tensor};

    use super::{
        super::{
            batch::{Batch, ImageBatcher},
            data::Images,
        },
        *,
    };

    #[test]
    fn an_epoch_has_its_images_and_random_numbers_wherever_the_run_began() {
        let train = Images::embedded().unwrap().train.take(50).unwrap();
        let device = Device::flex();
        let begin = |epoch: usize| -> Arc<dyn DataLoader<Batch>> {
            let inner = DataLoaderBuilder::new(ImageBatcher::PerImage)
                .batch_size(10)
                .shuffle(7)
                .build(train.clone());
            ResumableLoader::new(inner, device.clone(), 7, epoch).to_device(&device)
        };
        let epoch = |loader: &Arc<dyn DataLoader<Batch>>| -> (Vec<i64>, Vec<f32>) {
            let batches: Vec<Batch> = loader.iter().map(Result::unwrap).collect();
            let labels = batches.into_iter().flat_map(|b| {
                let labels: Vec<i64> = b.targets.into_data().iter().collect();
                labels
            });
            let dropped = Tensor::<1>::random([4], Distribution::Default, &device);
            (labels.collect(), dropped.into_data().iter().collect())
        };
        let from_the_start = begin(0);
        let epochs: Vec<_> = (0..4).map(|_| epoch(&from_the_start)).collect();
        assert_ne!(epochs[1].0, epochs[2].0);
        let continued = begin(2);
        assert_eq!(epoch(&continued), epochs[2]);
        assert_eq!(epoch(&continued), epochs[3]);
    }

    #[test]
    fn a_run_goes_on_where_checkpoint_and_log_are_both_whole() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path();
        fs::create_dir(run.join("checkpoint")).unwrap();
        let mut log = String::from("{\"kind\":\"header\"}\n");
        for epoch in 0..=4 {
            log += &format!("{{\"kind\":\"summary\",\"epoch\":{epoch}}}\n");
            if epoch < 4 {
                log +=
                    &format!("{{\"kind\":\"scalar\",\"epoch\":{epoch},\"name\":\"valid loss\"}}\n");
            }
        }
        fs::write(run.join("log.jsonl"), format!("{log}{{\"kind\":\"sca")).unwrap();
        for epoch in 2..=4 {
            for part in PARTS {
                fs::write(file(&run.join("checkpoint"), part, epoch), "x").unwrap();
            }
        }
        fs::remove_file(file(&run.join("checkpoint"), "optim", 3)).unwrap();
        // Epoch 4 has no loss in the log. Epoch 3 has no optimiser.
        assert_eq!(Checkpoints::open(run, 9, 1).unwrap().epoch, 2);
        let cut = fs::read_to_string(run.join("log.jsonl")).unwrap();
        assert!(
            cut.ends_with("\"epoch\":2,\"name\":\"valid loss\"}\n"),
            "{cut}"
        );
        // The run is not continued at its last epoch. Without an earlier complete epoch it starts
        // from the beginning.
        assert_eq!(Checkpoints::open(run, 2, 1).unwrap().epoch, 0);
        assert!(!run.join("log.jsonl").exists());
    }
}
