"""Metrics, logs and traces by OpenTelemetry's protocol (OTLP), where its variables ask for it."""
