//! The numbers that lie in objects.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use crate::damage::files;
use crate::wire::of_text;

/// The numbers of all objects of a lake, and how many objects there are.
pub fn objects(lake: &Path) -> (Vec<u64>, usize) {
    let paths = files(lake, ".parquet");
    let numbers = paths.iter().flat_map(|path| numbers(path)).collect();
    (numbers, paths.len())
}

/// The numbers of one object; zero stands for a row that has none.
fn numbers(path: &Path) -> Vec<u64> {
    let shown = path.display();
    let file = File::open(path).expect("it can be opened");
    let reader = SerializedFileReader::new(file)
        .unwrap_or_else(|error| panic!("{shown} is no whole object: {error}"));
    let schema = reader.metadata().file_metadata().schema();
    let column = match &*shown.to_string() {
        metrics if metrics.contains("signal=metrics") => "int_value",
        _ => "span_id",
    };
    let columns = schema.get_fields().iter();
    let columns = columns.filter(|field| field.name() == column).cloned();
    let only = Type::group_type_builder(schema.name()).with_fields(columns.collect());
    let rows = reader.get_row_iter(Some(only.build().expect("a schema")));
    let rows = rows.unwrap_or_else(|error| panic!("{shown} has no {column}: {error}"));
    let number = |field: &Field| match field {
        Field::Str(id) => of_text(id),
        Field::Long(number) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    };
    rows.map(|row| {
        let row = row.unwrap_or_else(|error| panic!("{shown} cannot be read: {error}"));
        row.get_column_iter()
            .next()
            .map_or(0, |(_, field)| number(field))
    })
    .collect()
}
