"""An application on the Python SDK that numbers its spans and says which its exporter was told are taken.

usage: python_app.py grpc|http ADDRESS FIRST COUNT; one acknowledged number a line, as each comes about
"""

import sys
import threading
import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

protocol, address, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=address, insecure=True, timeout=20)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint=f"http://{address}/v1/traces", timeout=20)


class Numbered(RandomIdGenerator):
    """Span IDs are consecutive numbers."""

    def __init__(self):
        self.next = first
        self.lock = threading.Lock()

    def generate_span_id(self):
        with self.lock:
            number, self.next = self.next, self.next + 1
            return number


export = exporter.export


def told(spans):
    result = export(spans)
    if result is SpanExportResult.SUCCESS:
        for span in spans:
            print(span.context.span_id, flush=False)
        sys.stdout.flush()
    return result


exporter.export = told
provider = TracerProvider(id_generator=Numbered())
processor = BatchSpanProcessor(exporter, schedule_delay_millis=50, max_export_batch_size=50)
provider.add_span_processor(processor)
tracer = provider.get_tracer("faults")
for _ in range(count):
    tracer.start_span("numbered").end()
    time.sleep(0.001)
provider.shutdown()
