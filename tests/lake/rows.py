"""Reads a lake with DuckDB or pyarrow and prints each row as the OTLP request that it stands for.

    rows.py duckdb|pyarrow DIRECTORY

A line is `traces`, `metrics` or `logs` and the request's protobuf in base64. Only the columns speak:
the record itself, which some rows have in `otlp`, is not looked at, and must not be there.
"""

import base64
import glob
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


def values(array):
    """The values of an arrow array, with times in nanoseconds, which Python's own cannot hold."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        assert (kind.unit, kind.tz is not None) == ("ns", True), kind
        return array.cast(pa.int64()).to_pylist()
    if pa.types.is_map(kind):
        return [None if one is None else [tuple(pair) for pair in one] for one in array.to_pylist()]
    if pa.types.is_list(kind):
        flat = values(array.values)
        ends = array.offsets.to_pylist()
        return [
            flat[start:end] if valid else None
            for start, end, valid in zip(ends, ends[1:], array.is_valid().to_pylist())
        ]
    if pa.types.is_struct(kind):
        columns = [values(array.field(at)) for at in range(kind.num_fields)]
        names = [kind.field(at).name for at in range(kind.num_fields)]
        return [dict(zip(names, row)) for row in zip(*columns)]
    return array.to_pylist()


def rows(table):
    names = table.column_names
    for batch in table.to_batches():
        columns = [values(column) for column in batch.columns]
        for row in zip(*columns):
            yield dict(zip(names, row))


def by_duckdb(path):
    found = duckdb.sql(f"SELECT * FROM read_parquet('{path}', hive_partitioning = false)")
    read = found.arrow()
    return read if isinstance(read, pa.Table) else read.read_all()


def put_value(out, text, kind):
    if text is None:
        return
    if kind is None:
        out.string_value = text
    elif kind == "bool":
        out.bool_value = {"true": True, "false": False}[text]
    elif kind == "int":
        out.int_value = int(text)
    elif kind == "double":
        out.double_value = float(text)
    elif kind == "bytes":
        out.bytes_value = base64.b64decode(text)
    elif kind.startswith("array:"):
        out.array_value.ParseFromString(base64.b64decode(kind[6:]))
    elif kind.startswith("map:"):
        out.kvlist_value.ParseFromString(base64.b64decode(kind[4:]))
    else:
        raise ValueError(kind)


def put_attributes(out, row, name):
    kinds = dict(row[f"{name}_types"])
    for key, text in row[f"{name}s"]:
        attribute = out.add(key=key)
        put_value(attribute.value, text, kinds.get(key))


def put_scope(request, row, resources, scopes):
    """Adds resource and scope of a row to a request, and gives the scope's message."""
    resource = getattr(request, resources).add(schema_url=row["resource_schema_url"] or "")
    put_attributes(resource.resource.attributes, row, "resource_attribute")
    resource.resource.dropped_attributes_count = row["resource_dropped_attributes_count"]
    scope = getattr(resource, scopes).add(schema_url=row["scope_schema_url"] or "")
    scope.scope.name = row["scope_name"] or ""
    scope.scope.version = row["scope_version"] or ""
    put_attributes(scope.scope.attributes, row, "scope_attribute")
    scope.scope.dropped_attributes_count = row["scope_dropped_attributes_count"]
    return scope


def identity(row, name):
    return bytes.fromhex(row[name] or "")


def span(row):
    request = ExportTraceServiceRequest()
    out = put_scope(request, row, "resource_spans", "scope_spans").spans.add(
        trace_id=identity(row, "trace_id"),
        span_id=identity(row, "span_id"),
        parent_span_id=identity(row, "parent_span_id"),
        trace_state=row["trace_state"] or "",
        flags=row["flags"],
        name=row["name"],
        kind=Span.SpanKind.Value(row["kind"]),
        start_time_unix_nano=row["start_time"] or 0,
        end_time_unix_nano=row["end_time"] or 0,
        dropped_attributes_count=row["dropped_attributes_count"],
        dropped_events_count=row["dropped_events_count"],
        dropped_links_count=row["dropped_links_count"],
    )
    if row["start_time"] and row["end_time"]:
        assert row["duration"] == row["end_time"] - row["start_time"]
    if row["status_code"] is not None:
        out.status.code = Status.StatusCode.Value(row["status_code"])
        out.status.message = row["status_message"] or ""
    put_attributes(out.attributes, row, "span_attribute")
    for event in row["events"]:
        one = out.events.add(time_unix_nano=event["time"] or 0, name=event["name"])
        one.dropped_attributes_count = event["dropped_attributes_count"]
        put_attributes(one.attributes, event, "attribute")
    for link in row["links"]:
        one = out.links.add(
            trace_id=identity(link, "trace_id"),
            span_id=identity(link, "span_id"),
            trace_state=link["trace_state"] or "",
            flags=link["flags"],
            dropped_attributes_count=link["dropped_attributes_count"],
        )
        put_attributes(one.attributes, link, "attribute")
    return request


def log_record(row):
    request = ExportLogsServiceRequest()
    out = put_scope(request, row, "resource_logs", "scope_logs").log_records.add(
        time_unix_nano=row["time"] or 0,
        observed_time_unix_nano=row["observed_time"] or 0,
        severity_number=SeverityNumber.Value(row["severity"]),
        severity_text=row["severity_text"] or "",
        trace_id=identity(row, "trace_id"),
        span_id=identity(row, "span_id"),
        flags=row["flags"],
        event_name=row["event_name"] or "",
        dropped_attributes_count=row["dropped_attributes_count"],
    )
    assert row["severity_number"] == out.severity_number
    put_value(out.body, row["body"], row["body_type"])
    put_attributes(out.attributes, row, "log_attribute")
    return request


def put_number(out, row):
    if row["int_value"] is not None:
        assert row["value"] == float(row["int_value"])
        out.as_int = row["int_value"]
    elif row["value"] is not None:
        out.as_double = row["value"]


def put_point(point, row):
    point.start_time_unix_nano = row["start_time"] or 0
    point.time_unix_nano = row["time"] or 0
    point.flags = row["flags"]
    put_attributes(point.attributes, row, "metric_attribute")
    for exemplar in row.get("exemplars", []):
        one = point.exemplars.add(
            time_unix_nano=exemplar["time"] or 0,
            trace_id=identity(exemplar, "trace_id"),
            span_id=identity(exemplar, "span_id"),
        )
        put_number(one, exemplar)
        put_attributes(one.filtered_attributes, exemplar, "filtered_attribute")


def put_totals(point, row):
    point.count = row["count"]
    for name in ("sum", "min", "max"):
        if row[name] is not None:
            setattr(point, name, row[name])


def put_buckets(point, row, sign):
    if row[f"{sign}_bucket_counts"] is not None:
        buckets = getattr(point, sign)
        buckets.offset = row[f"{sign}_offset"]
        buckets.bucket_counts.extend(row[f"{sign}_bucket_counts"])
        buckets.SetInParent()


def data_point(row, kind):
    request = ExportMetricsServiceRequest()
    metric: Metric = put_scope(request, row, "resource_metrics", "scope_metrics").metrics.add(
        name=row["metric_name"],
        description=row["metric_description"] or "",
        unit=row["metric_unit"] or "",
    )
    put_attributes(metric.metadata, row, "metric_metadata_attribute")
    data = getattr(metric, kind)
    if "aggregation_temporality" in row:
        data.aggregation_temporality = AggregationTemporality.Value(row["aggregation_temporality"])
    point = data.data_points.add()
    put_point(point, row)
    if kind in ("gauge", "sum"):
        put_number(point, row)
    if kind == "sum":
        data.is_monotonic = row["is_monotonic"]
    if kind == "histogram":
        put_totals(point, row)
        point.explicit_bounds.extend(row["explicit_bounds"])
        point.bucket_counts.extend(row["bucket_counts"])
    if kind == "exponential_histogram":
        put_totals(point, row)
        point.scale = row["scale"]
        point.zero_count = row["zero_count"]
        point.zero_threshold = row["zero_threshold"]
        put_buckets(point, row, "positive")
        put_buckets(point, row, "negative")
    if kind == "summary":
        point.count = row["count"]
        point.sum = row["sum"]
        for quantile in row["quantiles"]:
            point.quantile_values.add(quantile=quantile["quantile"], value=quantile["value"])
    return request


def main():
    engine, lake = sys.argv[1:]
    for path in sorted(glob.glob(f"{lake}/**/*.parquet", recursive=True)):
        if engine == "duckdb":
            table = by_duckdb(path)
        else:
            table = pq.ParquetFile(path).read()
        signal = path.split("signal=")[1].split("/")[0]
        for row in rows(table):
            assert row["otlp"] is None, row
            if signal == "traces":
                request = span(row)
            elif signal == "logs":
                request = log_record(row)
            else:
                request = data_point(row, path.split("kind=")[1].split("/")[0])
            print(signal, base64.b64encode(request.SerializeToString()).decode())


main()
