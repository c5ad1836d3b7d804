//! The table of layers as Parquet, for tools such as DuckDB and Polars. It has the columns of
//! [`FIELDS`] with their types. The whole table is derived from a log and never appended to.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::record::Record;
use crate::record::field::{Cell, FIELDS, Field, Getter};

/// Number of rows in a row group.
const GROUP: usize = 1 << 16;

/// Writes records to a table, one row for each layer and observation. The column `run`
/// distinguishes several runs. Cells that are empty in the CSV are null. Text is UTF-8. Columns are
/// compressed with Snappy.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("trajectory.parquet");
/// let trajectory = heavytail::Trajectory::default();
/// heavytail::sink::parquet::write(trajectory.records(), path)?;
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
    let bytes = encode(records).map_err(|e| Error::malformed(path, None, e))?;
    write_atomically(path, &bytes)
}

fn encode<'a>(records: impl IntoIterator<Item = &'a Record>) -> ParquetResult<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("heavytail ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties))?;
    let mut records = records.into_iter();
    loop {
        let rows: Vec<&Record> = records.by_ref().take(GROUP).collect();
        if rows.is_empty() {
            return file.into_inner();
        }
        let mut group = file.next_row_group()?;
        for field in FIELDS {
            let Some(writer) = group.next_column()? else {
                break;
            };
            write_column(field, &rows, writer)?;
        }
        group.close()?;
    }
}

fn schema() -> ParquetResult<TypePtr> {
    let fields = FIELDS.iter().map(|field| {
        let (physical, logical) = match field.get {
            Getter::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Getter::Int(_) => (Physical::INT64, None),
            Getter::Real(_) => (Physical::DOUBLE, None),
            Getter::Flag(_) => (Physical::BOOLEAN, None),
        };
        Type::primitive_type_builder(field.name, physical)
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
    field: &Field<Record>,
    rows: &[&Record],
    writer: SerializedColumnWriter<'_>,
) -> ParquetResult<()> {
    let cells = || rows.iter().map(|row| field.cell(row));
    match field.get {
        Getter::Text(_) => fill::<ByteArrayType>(
            writer,
            cells().map(|cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_ref())),
                _ => None,
            }),
        ),
        Getter::Int(_) => fill::<Int64Type>(
            writer,
            cells().map(|cell| match cell {
                Cell::Int(value) => i64::try_from(value).ok(),
                _ => None,
            }),
        ),
        Getter::Real(_) => fill::<DoubleType>(
            writer,
            // Numbers that are not finite are null, as in JSON.
            cells().map(|cell| cell.number().filter(|v| v.is_finite())),
        ),
        Getter::Flag(_) => fill::<BoolType>(
            writer,
            cells().map(|cell| match cell {
                Cell::Flag(value) => Some(value),
                _ => None,
            }),
        ),
    }
}

/// A definition level of 0 marks a null, which has no value.
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
