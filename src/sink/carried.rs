//! What every sink and the program say of a layer that was not analysed again.

use std::fmt;

use crate::record::Carried;

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not analysed again: the numbers are those of epoch {}; ‖ΔW‖/‖W‖ = {:.2e} since then, so α is within {:.2} \
             for certain",
            self.from.epoch, self.drift, self.alpha_tolerance
        )
    }
}
