//! Options that several commands share: the layers of a checkpoint to analyse, and how to analyse
//! them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use heavytail::checkpoint::Checkpoint;
use heavytail::monitor::Selection;
use heavytail::survey::{Survey, SurveyOptions, survey};
use heavytail::{Config, Depth};
use indicatif::{ProgressBar, ProgressStyle};

/// The options that choose the layers and the analysis.
#[derive(Args, Clone)]
pub struct SurveyArgs {
    /// Only layers whose name matches one of these regular expressions
    #[arg(long, value_name = "REGEX")]
    include: Vec<String>,
    /// Leave out layers whose name matches one of these regular expressions
    #[arg(long, value_name = "REGEX")]
    exclude: Vec<String>,
    /// Leave out matrices with fewer eigenvalues than this
    #[arg(long, default_value_t = 2)]
    min_evals: usize,
    /// live: one spectrum and its fits. full: also bootstrap intervals, goodness of fit,
    /// alternative distributions, and reruns with permuted and equalised matrices. full takes about
    /// ten times as long
    #[arg(long, value_enum, default_value_t = DepthArg::Live)]
    depth: DepthArg,
    /// Fill the shared columns in the conventions of this tool
    #[arg(long, value_enum, value_name = "TOOL")]
    compat: Option<Tool>,
    /// Split query, key and value projections into this number of heads
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// The base model of low-rank adapters (LoRA). The adapted layers are analysed too
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// LoRA's alpha. It replaces the lora_alpha of adapter_config.json
    #[arg(long)]
    lora_alpha: Option<f64>,
    /// Number of layers analysed at the same time. Memory grows with it [default: the number of
    /// cores]
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum DepthArg {
    Live,
    Full,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Tool {
    #[value(name = "weightwatcher")]
    WeightWatcher,
}

impl SurveyArgs {
    pub fn options(&self) -> Result<SurveyOptions> {
        if self.jobs == Some(0) || self.min_evals == 0 {
            bail!("--jobs and --min-evals must be at least 1");
        }
        let mut options = SurveyOptions::default();
        options.config = Config::live();
        if self.is_full() {
            options.config.depth = Depth::Full;
        }
        options.selection = Selection::new(&self.include, &self.exclude)?;
        options.min_evals = self.min_evals;
        options.lora_alpha = self.lora_alpha;
        options.heads = self.heads;
        if let Some(base) = &self.base {
            options.base = Some(Arc::new(Checkpoint::open(base)?));
        }
        options.weightwatcher = self.compat();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        options.jobs = self.jobs.unwrap_or(cores);
        Ok(options)
    }

    /// The options that change the results, as text. All parts of one survey must have the same
    /// text.
    pub fn signature(&self) -> String {
        format!(
            "include {:?}, exclude {:?}, min_evals {}, full {}, compat {}, base {:?}, lora_alpha {:?}, heads {:?}",
            self.include,
            self.exclude,
            self.min_evals,
            self.is_full(),
            self.compat(),
            self.base,
            self.lora_alpha,
            self.heads
        )
    }

    pub fn compat(&self) -> bool {
        self.compat.is_some()
    }

    fn is_full(&self) -> bool {
        self.depth == DepthArg::Full
    }

    /// Analyses one model and shows a progress bar if the standard error is a terminal.
    pub fn survey(&self, path: &Path) -> Result<(Checkpoint, Survey)> {
        self.survey_part(path, None)
    }

    /// Analyses part i of n of a model, or all of it for `None`.
    pub fn survey_part(
        &self,
        path: &Path,
        part: Option<(usize, usize)>,
    ) -> Result<(Checkpoint, Survey)> {
        let checkpoint = Checkpoint::open(path)?;
        let mut options = self.options()?;
        options.shard = part;
        // indicatif hides the bar unless the standard error is a terminal.
        let bar = ProgressBar::new(0).with_style(
            ProgressStyle::with_template("{bar:32} {pos}/{len} tensors  ETA {eta}  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(path.display().to_string());
        let survey = survey(&checkpoint, &options, |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        Ok((checkpoint, survey?))
    }
}
