//! The thread of full analyses.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::queue::Shared;
use crate::analysis::{Analyzer, LayerReport};
use crate::config::{Config, Depth};
use crate::error::catch_panics;
use crate::matrix::LayerTensor;
use crate::record::{Event, FullLine, Line, Notice, Stamp};

/// A layer whose full analysis is not done.
pub(super) struct FullRequest {
    pub(super) stamp: Stamp,
    pub(super) tensor: Arc<LayerTensor>,
    /// Result of the live analysis. None if another process made it.
    pub(super) report: Option<LayerReport>,
}

/// The thread of full analyses. They are expensive, and observations must not wait for them.
pub(super) struct FullWorker {
    layers: SyncSender<FullRequest>,
    thread: JoinHandle<()>,
}

impl FullWorker {
    /// Starts the thread, with room for `room` waiting layers. None if the system refuses a thread.
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

    /// Requests the full analysis of a layer.
    ///
    /// # Errors
    ///
    /// The layer, if too many are waiting.
    pub(super) fn request(&self, live: FullRequest) -> Result<(), Box<FullRequest>> {
        self.layers.try_send(live).map_err(|e| match e {
            TrySendError::Full(live) | TrySendError::Disconnected(live) => Box::new(live),
        })
    }

    /// Requests the last full analyses, and waits for all of them.
    pub(super) fn finish(self, last: Vec<FullRequest>) {
        for live in last {
            // Sending cannot fail, because the thread ends only after `layers` is dropped.
            let _ = self.layers.send(live);
        }
        drop(self.layers);
        // The thread catches panics of an analysis, so joining cannot fail.
        let _ = self.thread.join();
    }
}

fn analyze(run: &str, live: FullRequest, config: &Config) -> Line {
    let FullRequest {
        stamp,
        tensor,
        report,
    } = live;
    let full = catch_panics(|| {
        let mut live = config.clone();
        (live.depth, live.slices) = (Depth::Live, false);
        // The analyzer is for this layer only, so that its memory is freed between full analyses.
        let analyzer = Analyzer::new(live);
        let mut report = match report {
            Some(report) => report,
            None => analyzer.analyze_tensor(&tensor, None)?,
        };
        report.add_full_analysis(&tensor.cut_in(analyzer.scratch())?.primary, config)
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
