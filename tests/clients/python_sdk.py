"""Sends known telemetry of all three signals with the OpenTelemetry SDK for Python.

    python_sdk.py grpc|http ENDPOINT

Prints the IDs that the SDK drew, as JSON.
"""

import json
import sys

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

protocol, endpoint = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    to = lambda signal: {"endpoint": endpoint, "insecure": True}
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    to = lambda signal: {"endpoint": f"http://{endpoint}/v1/{signal}"}

resource = Resource({"service.name": "checkout", "service.version": "1.2.3", "host.cpus": 8})


def send_spans():
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**to("traces"))))
    tracer = provider.get_tracer("shop", "0.1")
    with tracer.start_as_current_span("earlier") as earlier:
        pass
    with tracer.start_as_current_span(
        "GET /cart",
        kind=SpanKind.SERVER,
        links=[Link(earlier.get_span_context(), {"why": "caused"})],
        attributes={
            "text": "žluťoučký kůň 🐎",
            "empty": "",
            "int": -42,
            "big": 2**62 + 1,
            "double": 0.1,
            "bool": True,
            "texts": ["a", "b"],
            "ints": [1, 2, 3],
        },
    ) as parent:
        parent.add_event("cache.miss", {"key": "cart:7"})
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as child:
            child.set_status(Status(StatusCode.ERROR, "deadline exceeded"))
    provider.shutdown()
    return {
        "trace_id": f"{parent.get_span_context().trace_id:032x}",
        "parent_id": f"{parent.get_span_context().span_id:016x}",
        "child_id": f"{child.get_span_context().span_id:016x}",
        "earlier_id": f"{earlier.get_span_context().span_id:016x}",
        "start": str(parent.start_time),
        "end": str(parent.end_time),
    }


def send_metrics():
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(**to("metrics")), 3_600_000)
    provider = MeterProvider(
        [reader],
        resource,
        views=[
            View(instrument_name="latency", aggregation=ExplicitBucketHistogramAggregation([0.1, 1])),
            View(instrument_name="sizes", aggregation=ExponentialBucketHistogramAggregation()),
        ],
    )
    meter = provider.get_meter("shop", "0.1")
    orders = meter.create_counter("orders", "{order}", "Orders taken.")
    orders.add(3, {"region": "eu"})
    orders.add(4, {"region": "eu"})
    orders.add(5, {"region": "us"})
    meter.create_up_down_counter("carts").add(-2)
    latency = meter.create_histogram("latency", "s")
    for value in (0.05, 0.5, 5):
        latency.record(value)
    sizes = meter.create_histogram("sizes", "By")
    for value in (1, 2, 4, 1024):
        sizes.record(value)
    meter.create_observable_gauge("temperature", [lambda _: [Observation(21.5, {"room": "1"})]])
    provider.shutdown()


def send_logs():
    provider = LoggerProvider(resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**to("logs"))))
    logger = provider.get_logger("shop", "0.1")
    logger.emit(
        LogRecord(
            timestamp=1_767_323_045_678_901_234,
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body="the cart is empty",
            attributes={"cart": 7, "tags": {"vip": True}},
        )
    )
    logger.emit(LogRecord(timestamp=1, body={"nested": [1, "two", None]}))
    provider.shutdown()


ids = send_spans()
send_metrics()
send_logs()
print(json.dumps(ids))
