"""Spans by OpenTelemetry: of pushes, attempts and calls to Klarna. An extra; slow to import.

The SDK reads the other variables of OpenTelemetry itself: OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER,
OTEL_EXPORTER_OTLP_HEADERS and so on. Spans wait for its thread in a queue of 2,048; what comes
beyond it, as while the collector is away, is dropped.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pushes.log import trace
from pushes.model import Entry, Push

_NS_PER_MS = 1_000_000


class _PushSpan:
    """One span. It names orders, and never a person."""

    def __init__(self, span: Span, propagator: TraceContextTextMapPropagator) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        propagator.inject(carrier)
        self.traceparent = trace.read(carrier.get(trace.HEADER))

    def note(self, push: Push) -> None:
        """Say which push it is, and how it stands now."""
        self._span.set_attributes(
            {
                "klarna_ack.order_id": push.key.order_id,
                "klarna_ack.account": push.key.account,
                "klarna_ack.state": str(push.state),
                "klarna_ack.attempt": push.attempts,
            }
        )


class OpenTelemetryTracing:
    """Sends spans to the collector, in a thread of the SDK's."""

    def __init__(self, process: str, version: str) -> None:
        facts = {"service.version": version}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            facts["service.name"] = f"klarna-ack-{process}"
        self._provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("klarna-ack", version)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def taking(self, brought: str | None) -> Iterator[_PushSpan]:
        """Take in a push; the sender's trace goes on, if it brought one."""
        with self._span("push", SpanKind.SERVER, brought) as span:
            yield span

    @contextmanager
    def attempting(self, push: Push) -> Iterator[_PushSpan]:
        """Make an attempt, in the trace of the push."""
        with self._span("attempt", SpanKind.CONSUMER, trace.header(push)) as span:
            yield span

    def called(self, entry: Entry) -> None:
        """Add a call to Klarna to the attempt of this thread."""
        ended = time.time_ns()
        started = ended - (entry.elapsed_ms or 0) * _NS_PER_MS
        span = self._tracer.start_span(
            f"Klarna {entry.call}", kind=SpanKind.CLIENT, start_time=started
        )
        if entry.http_status:
            span.set_attribute("http.response.status_code", entry.http_status)
        if entry.correlation_id:
            span.set_attribute("klarna.correlation_id", entry.correlation_id)
        if entry.failure:
            span.set_attribute("error.type", entry.failure)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def stop(self) -> None:
        """Send what is left, and end the thread."""
        self._provider.shutdown()

    @contextmanager
    def _span(self, name: str, kind: SpanKind, parent: str | None) -> Iterator[_PushSpan]:
        """Make a span the current one; of an error only its kind is told."""
        carrier = {trace.HEADER: parent} if parent else {}
        within = self._propagator.extract(carrier, Context())
        with self._tracer.start_as_current_span(
            name, within, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield _PushSpan(span, self._propagator)
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise
