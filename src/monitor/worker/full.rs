use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::queue::Shared;
use crate::analysis::{Analyzer, LayerReport};
use crate::config::{Config, Depth};
use crate::error::guarded;
use crate::matrix::LayerTensor;
use crate::record::{Event, FullLine, Line, Notice, Stamp};

/// A layer without its full analysis.
pub(super) struct Live {
    pub(super) stamp: Stamp,
    pub(super) tensor: Arc<LayerTensor>,
    /// What the live analysis said, unless another process made it.
    pub(super) report: Option<LayerReport>,
}

/// The thread of full analyses: they are dear, and observations must not wait for them.
pub(super) struct FullWorker {
    layers: SyncSender<Live>,
    thread: JoinHandle<()>,
}

impl FullWorker {
    /// A thread with room for so many waiting layers; none if the system refuses.
    pub(super) fn spawn(
        run: &str,
        config: &Config,
        shared: &Arc<Shared>,
        room: usize,
    ) -> Option<Self> {
        let (layers, waiting) = sync_channel(room);
        let (run, config, shared) = (run.to_owned(), config.clone(), Arc::clone(shared));
        let thread = std::thread::Builder::new()
            .name("heavytail full".to_owned())
            .spawn(move || {
                for live in waiting {
                    let start = Instant::now();
                    let line = analyze(&run, live, &config);
                    shared.line(line, start.elapsed().as_secs_f64());
                }
            })
            .ok()?;
        Some(Self { layers, thread })
    }

    /// Ask for a layer's full analysis.
    ///
    /// # Errors
    ///
    /// The layer, if too many wait already.
    pub(super) fn request(&self, live: Live) -> Result<(), Box<Live>> {
        self.layers.try_send(live).map_err(|e| match e {
            TrySendError::Full(live) | TrySendError::Disconnected(live) => Box::new(live),
        })
    }

    /// Ask for the last ones, and wait for all.
    pub(super) fn finish(self, last: Vec<Live>) {
        for live in last {
            // The thread ends only when this end hangs up.
            let _ = self.layers.send(live);
        }
        drop(self.layers);
        // Its panics are caught where they happen.
        let _ = self.thread.join();
    }
}

fn analyze(run: &str, live: Live, config: &Config) -> Line {
    let Live {
        stamp,
        tensor,
        report,
    } = live;
    let full = guarded(|| {
        let mut live = config.clone();
        (live.depth, live.slices) = (Depth::Live, false);
        // For this layer only: between full analyses the memory is better returned.
        let analyzer = Analyzer::new(live);
        let mut report = match report {
            Some(report) => report,
            None => analyzer.analyze_tensor(&tensor, None)?,
        };
        report.deepen(&tensor.cut_in(analyzer.scratch())?.primary, config)
    });
    let run = run.to_owned();
    let layer = tensor.name.clone();
    match full {
        Ok(full) => Line::Full(Box::new(FullLine {
            run,
            stamp,
            layer,
            full,
        })),
        Err(cause) => Line::Notice(Notice {
            run,
            epoch: Some(stamp.epoch),
            event: Event::FullFailed { layer, cause },
        }),
    }
}
