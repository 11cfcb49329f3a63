"""The worker's log: lines for a person, or JSON for a program, and OTLP besides if an endpoint is set.

As JSON and over OTLP each line says which run, step and environment it is about, and which trace.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord, SeverityNumber
from temporalio import activity, workflow

from telemetry import settings
from telemetry.running import here

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider

FOR_PEOPLE = "%(asctime)s %(levelname)s %(name)s %(message)s"
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has: anything else was given by whoever logged it."""
_EXPORTERS = ("opentelemetry", "urllib3", "requests")
"""What they log about sending logs would be sent too, and so on for ever."""

_SEVERITIES = {logging.DEBUG: 5, logging.INFO: 9, logging.WARNING: 13, logging.ERROR: 17, logging.CRITICAL: 21}
"""What OpenTelemetry calls Python's levels."""

_provider: LoggerProvider | None = None


def configure() -> None:
    """Set up the log of this process, as LOG_FORMAT ("json", or text by default) and OTEL_LOGS_EXPORTER say."""
    global _provider
    printed = logging.StreamHandler(sys.stderr)
    printed.setFormatter(JsonLines() if settings.logs_as_json() else logging.Formatter(FOR_PEOPLE))
    handlers: list[logging.Handler] = [printed]
    if settings.exporter("logs") == "otlp":
        _provider = _otlp()
        handlers.append(OtlpLines(_provider))
    if settings.logs_have_fields():
        # Each line says it in fields of its own.
        workflow.logger.workflow_info_on_message = activity.logger.activity_info_on_message = False
    logging.basicConfig(level=logging.INFO, handlers=handlers)


def flush() -> None:
    """Send what is still here."""
    if _provider:
        _provider.shutdown()


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says besides its text: what runs, which trace, and whatever was given by who logged it."""
    given = {name: value for name, value in vars(record).items() if name not in _ORDINARY and _is_plain(value)}
    if record.exc_info:
        given["exception"] = "".join(traceback.format_exception(*record.exc_info))
    return here() | given


class JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": settings.service(),
            **fields(record),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class OtlpLines(logging.Handler):
    """Hands records to OpenTelemetry.

    Args:
        provider: gives the loggers.
    """

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one on; the trace it belongs to is that of the current span.

        Workflows log, too: what is imported in here would be imported anew in their sandbox.
        """
        if record.name.startswith(_EXPORTERS):
            return
        nanoseconds = int(record.created * 1e9)
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=nanoseconds,
                observed_timestamp=nanoseconds,
                severity_text=record.levelname,
                severity_number=SeverityNumber(_SEVERITIES.get(record.levelno, 0)),
                body=record.getMessage(),
                attributes=fields(record),
            )
        )


def _otlp() -> LoggerProvider:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    provider = LoggerProvider(resource=Resource.create({SERVICE_NAME: settings.service()}), shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    return provider


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
