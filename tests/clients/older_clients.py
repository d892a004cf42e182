"""Sends known spans as clients of older protocols do.

    older_clients.py zipkin v1|v2 HOST:PORT     the OpenTelemetry SDK's exporter to Zipkin
    older_clients.py jaeger agent HOST:PORT     Jaeger's own client, over UDP

Prints the trace ID, in hexadecimal digits.
"""

import sys
import time


def zipkin(version, address):
    from opentelemetry.exporter.zipkin.encoder import Protocol
    from opentelemetry.exporter.zipkin.json import ZipkinExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode

    exporter = ZipkinExporter(
        version=Protocol.V1 if version == "v1" else Protocol.V2,
        endpoint=f"http://{address}/api/{version}/spans",
        local_node_ipv4="192.168.7.1",
        local_node_port=8080,
        max_tag_value_length=1000,
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "shop", "host.name": "web-1"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("cart", "1.2")
    with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER) as parent:
        parent.set_attribute("items", 3)
        with tracer.start_as_current_span("pay", kind=SpanKind.CLIENT) as child:
            child.add_event("declined", {"reason": "limit"})
            child.set_status(Status(StatusCode.ERROR, "no money"))
    provider.shutdown()
    return parent.get_span_context().trace_id


def jaeger(_, address):
    from jaeger_client import Config

    host, port = address.split(":")
    config = Config(
        config={
            "sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": host, "reporting_port": port},
            "generate_128bit_trace_id": True,
        },
        service_name="shop",
    )
    tracer = config.initialize_tracer()
    with tracer.start_span("checkout", tags={"span.kind": "server", "items": 3}) as parent:
        with tracer.start_span("pay", child_of=parent, tags={"span.kind": "client", "error": True}) as child:
            child.log_kv({"event": "declined", "reason": "limit"})
    # The client sends from a thread of its own, and its close is told before all is out.
    time.sleep(2)
    tracer.close()
    time.sleep(1)
    return parent.trace_id


client, how, address = sys.argv[1:]
print(f"{(zipkin if client == 'zipkin' else jaeger)(how, address):032x}")
