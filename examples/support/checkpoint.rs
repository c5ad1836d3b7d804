//! Going on after `kill -9` as if nothing had happened: checkpoints that are complete or absent, an order
//! of images and random numbers that depend on the epoch alone, and a log that ends where the checkpoint does.

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

/// A learner needs all three.
pub const PARTS: [&str; 3] = ["model", "optim", "scheduler"];
/// The three are written independently of each other; the last so many of each are kept.
pub const KEPT: usize = 3;

/// The checkpoints of a run, and where it goes on.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    /// Finished epochs; 0 to begin.
    pub epoch: usize,
}

impl Checkpoints {
    /// Find the last epoch that the run in `folder` can go on from, and cut its log there. The last
    /// epoch of all is never one: what belongs to its end would be missing.
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
                // burn reports in alphabetical order, so the loss is the last.
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

    /// Writes one of [`PARTS`].
    pub fn writer(&self, part: &'static str) -> Writer {
        Writer {
            folder: self.folder.clone(),
            part,
        }
    }

    /// Nothing is left to go on from, or to.
    pub fn clear(folder: &Path) -> Result<()> {
        remove(fs::remove_dir_all(folder.join("checkpoint")))
    }
}

/// The whole lines of a log; none if there is no log.
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

fn remove(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}

fn file(folder: &Path, part: &str, epoch: usize) -> PathBuf {
    folder.join(format!("{part}-{epoch}.bpk"))
}

/// burn's file checkpointer, but each file is complete or absent.
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

/// A loader that, from an epoch on, yields what it would have yielded in a run that was never stopped.
pub struct Continued<O> {
    inner: Arc<dyn DataLoader<O>>,
    device: Device,
    seed: u64,
    epoch: AtomicU64,
}

impl<O: Send + 'static> Continued<O> {
    pub fn new(inner: Arc<dyn DataLoader<O>>, device: Device, seed: u64, epoch: usize) -> Self {
        Self {
            inner,
            device,
            seed,
            epoch: AtomicU64::new(epoch as u64),
        }
    }
}

impl<O: Send + 'static> DataLoader<O> for Continued<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed);
        // Dropout's numbers. The first epoch goes on with those that drew the weights.
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
            // Each pass shuffles anew; these passes are over.
            drop(inner.iter());
        }
        Arc::new(Self::new(inner, device.clone(), self.seed, epoch as usize))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        self.inner.slice(start, end)
    }
}
