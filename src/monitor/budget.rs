//! The time budget of observing.

use std::time::Instant;

/// Limits the cost of observing to a share of the run's wall time, by leaving observations out.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    start: Instant,
}

/// The cost of observing so far, in seconds of wall time, summed over all threads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    /// Total cost: copies, analyses and full analyses.
    pub(super) total: f64,
    /// Cost of the latest observation, without full analyses. None before the first one is
    /// analysed.
    pub(super) latest: Option<f64>,
    /// Number of observations that were submitted and are not analysed yet.
    pub(super) waiting: usize,
}

impl Budget {
    pub(super) fn new(share: f64) -> Self {
        Self {
            share,
            start: Instant::now(),
        }
    }

    /// Whether another observation, at the cost of the latest one, stays within the share.
    pub(super) fn fits(&self, spent: Cost) -> bool {
        fits(self.share, self.start.elapsed().as_secs_f64(), spent)
    }
}

fn fits(share: f64, elapsed: f64, spent: Cost) -> bool {
    match spent.latest {
        // The cost is unknown before the first observation, so only one may run.
        None => spent.waiting == 0,
        Some(price) => spent.total + (1 + spent.waiting) as f64 * price <= share * elapsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observations_space_themselves() {
        let mut spent = Cost::default();
        assert!(fits(0.01, 0.0, spent), "the first");
        spent.waiting = 1;
        assert!(!fits(0.01, 1e6, spent), "no price is known yet");
        let price = 0.1;
        let mut spent = Cost {
            total: 0.5,
            latest: Some(price),
            waiting: 0,
        };
        let mut observed = 0;
        for epoch in 1..=1000 {
            let elapsed = f64::from(epoch);
            if fits(0.01, elapsed, spent) {
                spent.total += price;
                observed += 1;
            }
            assert!(epoch < 60 || spent.total <= 0.01 * elapsed);
        }
        // The share is 10 s. The first observation cost 0.5 s, so 95 others of 0.1 s fit.
        assert_eq!(observed, 95);
    }

    #[test]
    fn what_waits_is_counted() {
        let spent = Cost {
            total: 0.0,
            latest: Some(1.0),
            waiting: 3,
        };
        assert!(!fits(0.5, 7.9, spent) && fits(0.5, 8.0, spent));
    }
}
