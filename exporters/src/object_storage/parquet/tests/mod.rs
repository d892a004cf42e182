//! Files of the tables, read by parquet's own reader.

mod request;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;
use tidegate_pdata::Payload;
use tidegate_pdata::testing::{
    FlatRecord, Request, arbitrary_any, realistic_logs, realistic_metrics, realistic_traces,
};

use super::rebuild::rows;
use super::*;

fn settings() -> Settings {
    Settings {
        ids: IdFormat::Hex,
        columns: Vec::new(),
        zstd: Some(1),
        row_group_rows: 1 << 17,
    }
}

/// The payload that the door makes of a request.
fn payload(request: &Request) -> Payload {
    let bytes = Bytes::from(request.encode());
    let admitted = Payload::admit(request.signal(), bytes, None).unwrap();
    admitted.payload
}

/// The file of each table that payloads fill.
fn files(settings: Settings, payloads: &[Payload]) -> HashMap<Table, Vec<u8>> {
    let mut encoders = Encoders::new(settings);
    let mut files: HashMap<Table, ParquetFile> = HashMap::new();
    for payload in payloads {
        let source = Arc::new(Source::new(payload.clone(), &Arc::default()));
        walk(payload, &mut |place| {
            let file = files
                .entry(place.table)
                .or_insert_with(|| ParquetFile::new(place.table));
            assert!(file.add(&source, &place, place.time()));
            if file.pending_rows() >= encoders.row_group_rows() {
                file.write_group(&mut encoders).unwrap();
            }
        });
    }
    files
        .into_iter()
        .map(|(table, file)| (table, file.finish(&mut encoders).unwrap().0))
        .collect()
}

/// The file of realistic spans.
fn spans_file(settings: Settings, count: usize) -> SerializedFileReader<Bytes> {
    let request = Request::Traces(realistic_traces(count));
    let mut files = files(settings, &[payload(&request)]);
    let file = files.remove(&Table::Spans).unwrap();
    SerializedFileReader::new(Bytes::from(file)).unwrap()
}

/// All records of requests with what surrounds them, sorted.
fn records(requests: impl IntoIterator<Item = Request>) -> Vec<FlatRecord> {
    let mut records = Vec::new();
    for request in requests {
        records.extend(request::plain(request).flatten().records);
    }
    for record in &mut records {
        record.place = [0; 3];
    }
    records.sort();
    records
}

/// What comes back of a request through files.
fn round_trip(settings: Settings, request: &Request) -> Vec<FlatRecord> {
    let files = files(settings, &[payload(request)]);
    let back = files.into_iter().flat_map(|(table, file)| {
        let rows = rows(file);
        rows.into_iter()
            .map(move |row| request::request(table, &row))
    });
    records(back)
}

proptest! {
    #[test]
    fn every_record_comes_back_as_it_was(request in arbitrary_any(), binary: bool) {
        let ids = if binary { IdFormat::Binary } else { IdFormat::Hex };
        let back = round_trip(Settings { ids, ..settings() }, &request);
        prop_assert_eq!(back, records([request]));
    }
}

#[test]
fn realistic_records_come_back_and_none_needs_otlp_beside_its_cells() {
    for request in [
        Request::Traces(realistic_traces(300)),
        Request::Logs(realistic_logs(300)),
        Request::Metrics(realistic_metrics(300)),
    ] {
        let files = files(settings(), &[payload(&request)]);
        for file in files.into_values() {
            assert!(rows(file).iter().all(|row| row.bytes("otlp").is_none()));
        }
        assert_eq!(round_trip(settings(), &request), records([request]));
    }
}

#[test]
fn row_groups_are_sorted_and_have_page_indexes_and_bloom_filters() {
    let settings = Settings {
        row_group_rows: 100,
        ..settings()
    };
    let file = spans_file(settings, 250);
    let groups: Vec<_> = file.metadata().row_groups().iter().collect();
    let rows: Vec<_> = groups.iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [100, 100, 50]);
    for group in groups {
        let column = |name: &str| {
            let columns = group.columns().iter();
            let mut columns = columns.filter(|column| column.column_path().string() == name);
            columns.next().unwrap()
        };
        assert!(column("trace_id").bloom_filter_offset().is_some());
        assert!(column("span_id").bloom_filter_offset().is_none());
        for name in ["trace_id", "service_name", "start_time"] {
            assert!(column(name).column_index_offset().is_some(), "{name}");
        }
        let sorting = group.sorting_columns().unwrap();
        let names: Vec<_> = sorting
            .iter()
            .map(|by| group.column(by.column_idx as usize).column_path().string())
            .collect();
        assert_eq!(names, ["service_name", "start_time"]);
    }
    let metadata = file
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .unwrap();
    let version = metadata.iter().find(|entry| entry.key == "tidegate.schema");
    assert_eq!(version.unwrap().value.as_deref(), Some(SCHEMA_VERSION));
}

#[test]
fn rows_are_in_the_order_of_service_and_time() {
    let request = Request::Traces(realistic_traces(300));
    let mut files = files(settings(), &[payload(&request)]);
    let rows = rows(files.remove(&Table::Spans).unwrap());
    let keys: Vec<_> = rows
        .iter()
        .map(|row| (row.text("service_name"), row.time("start_time")))
        .collect();
    assert!(keys.is_sorted());
}

#[test]
fn promoted_attributes_have_typed_columns() {
    let settings = Settings {
        columns: vec![
            ("http.response.status_code".to_owned(), ColumnType::Int64),
            ("app.cart.total".to_owned(), ColumnType::Double),
            ("service.namespace".to_owned(), ColumnType::String),
            ("http.route".to_owned(), ColumnType::Int64),
        ],
        ..settings()
    };
    let request = Request::Traces(realistic_traces(10));
    let mut files = files(settings, &[payload(&request)]);
    for row in rows(files.remove(&Table::Spans).unwrap()) {
        assert!(row.int64("http.response.status_code").unwrap() >= 200);
        assert!(row.double("app.cart.total").is_some());
        assert_eq!(row.text("service.namespace"), "shop");
        assert_eq!(row.int64("http.route"), None);
    }
}

#[test]
fn keys_that_come_twice_and_times_past_2262_come_back() {
    let mut sent = realistic_traces(1);
    let span = &mut sent.resource_spans[0].scope_spans[0].spans[0];
    span.start_time_unix_nano = 16_725_225_600_000_000_000;
    span.attributes.push(span.attributes[0].clone());
    let request = Request::Traces(sent);
    assert_eq!(round_trip(settings(), &request), records([request.clone()]));
    let mut files = files(settings(), &[payload(&request)]);
    let row = rows(files.remove(&Table::Spans).unwrap()).remove(0);
    assert!(row.bytes("otlp").is_some() && row.maybe_text("name").is_some());
    assert_eq!(row.attributes("span_attribute").len(), 10);
}

#[test]
fn text_that_is_no_utf8_is_mended_in_its_cell_and_kept_beside_it() {
    let mut bytes = Request::Traces(realistic_traces(1)).encode();
    let name = b"GET /api/orders/{id}";
    let at = bytes
        .windows(name.len())
        .rposition(|window| window == name)
        .unwrap();
    bytes[at] = 0xff;
    let payload = Payload::admit(tidegate_pdata::Signal::Traces, bytes.into(), None);
    let mut files = files(settings(), &[payload.unwrap().payload]);
    let row = rows(files.remove(&Table::Spans).unwrap()).remove(0);
    let otlp = row.bytes("otlp").unwrap();
    assert!(
        otlp.windows(name.len() - 1)
            .any(|window| window == &name[1..])
    );
    let cells = [
        row.text("name"),
        format!("{:?}", row.attributes("span_attribute")),
    ];
    assert!(cells.iter().any(|cell| cell.contains('\u{fffd}')));
}
