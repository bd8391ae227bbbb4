"""OpenTelemetry traces of what agents and models do, by pydantic-ai's instrumentation.

Where they go is the environment's to say (`OTEL_EXPORTER_OTLP_ENDPOINT` and its relatives). A program that has
set up tracing of its own keeps it. Prompts and answers stay out of the traces: they hold people's histories.
"""

from __future__ import annotations

from opentelemetry import trace
from pydantic_ai.models.instrumented import InstrumentationSettings

from starrec.errors import ConfigError


def instrumentation() -> InstrumentationSettings:
    """Settings for pydantic-ai's agents.

    Raises:
        ConfigError: a package that exports traces is missing.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"`telemetry = true` needs packages that are missing ({error}): pip install 'starrec[telemetry]'"
        ) from error
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        provider = TracerProvider(resource=Resource.create({"service.name": "starrec"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    return InstrumentationSettings(include_content=False)
