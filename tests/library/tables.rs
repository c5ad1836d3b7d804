//! The table of layers as Parquet, beside the CSV: as DuckDB and Polars read it where `$PYTHON` has
//! them.

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use heavytail::monitor::{Overload, Snapshot};
use heavytail::record::Stamp;
use heavytail::record::field::FIELDS;
use heavytail::sink::{csv, parquet};
use heavytail::{Monitor, Trajectory};

#[allow(dead_code)]
use crate::noise::matrix;
use crate::python::python;

/// A run of which one layer fails once, one is too small for a phase, and one has an awkward name.
fn run(name: &str, out: &std::path::Path) -> Trajectory {
    let monitor = Monitor::builder()
        .run(name)
        .dir(out)
        .overload(Overload::Wait);
    let monitor = monitor.build().unwrap();
    for epoch in 0..4 {
        let mut tensors = vec![
            matrix("fc1.weight", 120, 60, epoch),
            matrix("fc2, \"the\" head – λ", 60, 5, epoch),
        ];
        if epoch == 2 {
            tensors[0].values[3] = f32::INFINITY;
        }
        let snapshot = Snapshot::new(tensors);
        let (epoch, step) = (epoch as usize, 10 * epoch);
        monitor.submit(Stamp { epoch, step }, snapshot);
    }
    monitor.finish().trajectory
}

#[test]
fn the_tables_hold_what_the_log_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let runs = [run("a", &a), run("b", &b)];
    let records = || runs.iter().flat_map(|t| t.records());
    let table = dir.path().join("trajectory.parquet");
    parquet::write(records(), &table).unwrap();
    let text = dir.path().join("trajectory.csv");
    csv::write(records(), &text).unwrap();
    let one = dir.path().join("one.csv");
    csv::write(runs[0].records(), &one).unwrap();
    // The table that was written during the run, byte by byte.
    let live = std::fs::read(a.join("layers.csv")).unwrap();
    assert_eq!(std::fs::read(&one).unwrap(), live);

    let mut rows = ::csv::Reader::from_path(&text).unwrap();
    let names: Vec<&str> = FIELDS.iter().map(|f| f.name).collect();
    assert_eq!(rows.headers().unwrap(), names);
    let file = SerializedFileReader::new(std::fs::File::open(&table).unwrap()).unwrap();
    let (mut count, mut nulls) = (0, 0);
    for (row, expected) in file.get_row_iter(None).unwrap().zip(rows.records()) {
        let (row, expected) = (row.unwrap(), expected.unwrap());
        for ((name, field), cell) in row.get_column_iter().zip(&expected) {
            let same = match field {
                Field::Null => cell.is_empty(),
                Field::Str(text) => text == cell,
                Field::Long(number) => number.to_string() == cell,
                Field::Double(number) => cell.parse::<f64>().unwrap().to_bits() == number.to_bits(),
                Field::Bool(flag) => flag.to_string() == cell,
                _ => false,
            };
            assert!(same, "{name}: {field} {cell}");
            nulls += usize::from(*field == Field::Null);
        }
        count += 1;
    }
    assert_eq!(count, 16);
    assert!(nulls > 2 * 50, "{nulls}");

    if let Some(python) = python("duckdb, polars") {
        python.run("tests/readers/read_parquet.py", &[&table, &text]);
    }
}

#[test]
fn a_run_without_observations_is_a_table_without_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("none.parquet");
    parquet::write(&[], &path).unwrap();
    let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 0);
}
