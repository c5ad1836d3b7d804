use serde_json::Value;

use crate::record::Record;

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Real,
    Flag,
}

/// A column of the table of layers.
#[derive(Debug)]
pub(super) struct Column {
    pub name: &'static str,
    /// Only formats with types ask.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code))]
    pub kind: Kind,
    /// The field of [`Record`] that it shows, or the way to it from `/`.
    field: &'static str,
}

/// The one list of the table's columns, for every format.
pub(super) const TABLE: &[Column] = &[
    text("run"),
    int("epoch"),
    int("step"),
    int("layer_id"),
    text("name").of("layer"),
    text("longname").of("layer"),
    text("cut"),
    int("N"),
    int("M"),
    real("Q"),
    int("num_evals"),
    real("alpha"),
    real("noise_alpha_low"),
    real("noise_alpha"),
    real("noise_alpha_high"),
    real("sigma"),
    real("D"),
    real("xmin"),
    real("xmax"),
    int("num_pl_spikes"),
    real("alpha_weighted"),
    real("log_alpha_norm"),
    real("log_norm"),
    real("log_spectral_norm"),
    real("norm"),
    real("lambda_max"),
    real("spectral_norm").of("lambda_max"),
    real("stable_rank"),
    int("matrix_rank"),
    int("rank_loss"),
    real("entropy"),
    int("num_spikes"),
    real("sigma_mp"),
    real("mp_softrank"),
    real("bulk_min_x"),
    real("bulk_max_x"),
    real("bulk_edge_x"),
    real("bulk_d"),
    real("bulk_d95"),
    real("bulk_d_p"),
    real("lambda_max_p"),
    int("num_null"),
    real("hill_alpha"),
    real("lr_exponential"),
    real("alpha_weighted_x"),
    real("log_alpha_norm_x"),
    real("log_norm_x"),
    real("log_spectral_norm_x"),
    real("stable_rank_log"),
    real("stable_rank_log_x"),
    text("phase"),
    real("phase_confidence"),
    flag("indeterminate"),
    text("warning"),
    text("status"),
    text("reason"),
    real("seconds_analysis"),
    int("carried_from_epoch").of("/carried/from/epoch"),
];

/// The columns of the table, in order: names as WeightWatcher has them where it has one. Each is
/// the field of [`Record`](crate::Record) of that name (`name` and `longname` are `layer`, `spectral_norm` is `lambda_max`; `carried_from_epoch` is the epoch of the
/// analysis that a [carried](crate::record::Carried) record repeats).
pub const COLUMNS: &[&str] = &names();

const fn names() -> [&'static str; TABLE.len()] {
    let mut names = [""; TABLE.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = TABLE[i].name;
        i += 1;
    }
    names
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        field: name,
    }
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn int(name: &'static str) -> Column {
    column(name, Kind::Int)
}

const fn real(name: &'static str) -> Column {
    column(name, Kind::Real)
}

const fn flag(name: &'static str) -> Column {
    column(name, Kind::Flag)
}

impl Column {
    const fn of(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }

    /// The cell of one row; `Null` where the record has no such number.
    pub(super) fn cell<'a>(&self, row: &'a Row) -> &'a Value {
        let found = match self.field.starts_with('/') {
            true => row.0.pointer(self.field),
            false => row.0.get(self.field),
        };
        found.unwrap_or(&Value::Null)
    }
}

/// A record as a row of the table.
pub(super) struct Row(Value);

impl Row {
    /// # Errors
    ///
    /// If the record cannot be serialised.
    pub(super) fn of(record: &Record) -> Result<Self, serde_json::Error> {
        serde_json::to_value(record).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Carried, LayerShape, Stamp};

    #[test]
    fn a_carried_row_says_whose_numbers_it_has() {
        let shape = LayerShape {
            name: "fc".to_owned(),
            shape: vec![2, 2],
        };
        let mut record = Record::failed("r", Stamp::of_epoch(5), 0, shape, String::new());
        let last = TABLE.last().unwrap();
        assert_eq!(last.name, "carried_from_epoch");
        assert!(last.cell(&Row::of(&record).unwrap()).is_null());
        record.carried = Some(Carried {
            from: Stamp::of_epoch(3),
            drift: 0.001,
            alpha_tolerance: 0.1,
            norm: 1.0,
        });
        assert_eq!(last.cell(&Row::of(&record).unwrap()), 3);
    }
}
