//! The table of layers as Parquet: the columns of [`COLUMNS`](super::COLUMNS) with their types, for DuckDB,
//! Polars and their like. Derived from a log, whole, never appended to.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::table::{Column, Kind, Row, TABLE};
use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::record::Record;

/// Rows that are converted at a time.
const GROUP: usize = 1 << 16;

/// Write records as a table, one row a layer and observation; several runs differ in the column
/// `run`. What the CSV leaves empty is null. Text is UTF-8, compressed with Snappy.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("trajectory.parquet");
/// let trajectory = heavytail::Trajectory::default();
/// heavytail::sink::parquet::write(&trajectory.records, path)?;
/// # Ok::<(), heavytail::Error>(())
/// ```
///
/// # Errors
///
/// If the file cannot be written.
pub fn write<'a>(
    records: impl IntoIterator<Item = &'a Record>,
    path: impl AsRef<Path>,
) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(records).map_err(|e| Error::format(path, None, e))?;
    write_whole(path, &bytes)
}

fn encode<'a>(records: impl IntoIterator<Item = &'a Record>) -> ParquetResult<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("heavytail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties))?;
    let mut records = records.into_iter();
    loop {
        let rows = records.by_ref().take(GROUP).map(Row::of);
        let rows: Vec<Row> = rows
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| ParquetError::External(Box::new(e)))?;
        if rows.is_empty() {
            return file.into_inner();
        }
        let mut group = file.next_row_group()?;
        for column in TABLE {
            let Some(writer) = group.next_column()? else {
                break;
            };
            write_column(column, &rows, writer)?;
        }
        group.close()?;
    }
}

fn schema() -> ParquetResult<TypePtr> {
    let fields = TABLE.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Int => (Physical::INT64, None),
            Kind::Real => (Physical::DOUBLE, None),
            Kind::Flag => (Physical::BOOLEAN, None),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(logical)
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<ParquetResult<_>>()?;
    let schema = Type::group_type_builder("layers")
        .with_fields(fields)
        .build()?;
    Ok(Arc::new(schema))
}

fn write_column(
    column: &Column,
    rows: &[Row],
    writer: SerializedColumnWriter<'_>,
) -> ParquetResult<()> {
    let cells = || rows.iter().map(|row| column.cell(row));
    match column.kind {
        Kind::Text => {
            fill::<ByteArrayType>(writer, cells().map(|v| Some(ByteArray::from(v.as_str()?))))
        }
        Kind::Int => fill::<Int64Type>(writer, cells().map(Value::as_i64)),
        Kind::Real => fill::<DoubleType>(writer, cells().map(Value::as_f64)),
        Kind::Flag => fill::<BoolType>(writer, cells().map(Value::as_bool)),
    }
}

/// A definition level of 0 is a null, which has no value.
fn fill<T: DataType>(
    mut writer: SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> ParquetResult<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    writer.close()
}
