"""What Prometheus reads: a table of metrics, what counts them, and how they are told."""
