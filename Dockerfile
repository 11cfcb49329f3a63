# worker: what runs the engine for a team. Build arguments choose nothing; versions are pinned here and in the lock file.
FROM python:3.11.15-slim AS worker
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.lock
COPY worker.py ./
COPY blueprint blueprint
COPY telemetry telemetry
COPY transfer transfer
COPY activities activities
COPY workflows workflows
# The sandbox loads a run's workflows anew: without bytecode the worker would compile them for each run, too.
RUN python -m compileall -q .
RUN useradd --system --no-create-home engine
USER engine
CMD ["python", "-m", "worker"]

# collector: the official image has no shell, so nothing in it could ask whether it is well.
FROM otel/opentelemetry-collector:0.159.0 AS otelcol
FROM busybox:1.37.0-musl AS collector
COPY --from=otelcol /otelcol /otelcol
COPY --from=otelcol /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 10001:10001
ENTRYPOINT ["/otelcol"]
CMD ["--config", "/etc/otelcol/config.yaml"]
