"""Read the table of layers with DuckDB and Polars and compare every cell with the CSV.

python read_parquet.py TABLE.parquet TABLE.csv
"""

import csv
import sys

import duckdb
import polars

table, text = sys.argv[1:]
with open(text, newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
columns = list(rows[0])
read = {"": lambda x: None, "VARCHAR": str, "BIGINT": int, "DOUBLE": float, "BOOLEAN": lambda x: x == "true"}


def compare(reader, types, cells):
    assert list(types) == columns and len(cells) == len(rows), (reader, len(cells))
    nulls = 0
    for row, cell in zip(rows, cells):
        for name, value in zip(columns, cell):
            expected = read[types[name] if row[name] else ""](row[name])
            # repr tells apart what == does not: 0.0 and -0.0, 1 and True.
            assert repr(value) == repr(expected), (reader, name, value, expected)
            nulls += value is None
    assert nulls
    print(f"{reader}: {len(rows)} rows, {len(columns)} columns, {nulls} nulls, every cell as in the CSV")


relation = duckdb.read_parquet(table)
compare("DuckDB", dict(zip(relation.columns, map(str, relation.types))), relation.fetchall())

frame = polars.read_parquet(table)
names = {polars.String: "VARCHAR", polars.Int64: "BIGINT", polars.Float64: "DOUBLE", polars.Boolean: "BOOLEAN"}
compare("Polars", {name: names[kind] for name, kind in frame.schema.items()}, frame.rows())
