"""Who is told: messages for people, and the channels that bring them."""

from kline_ops.alerts.channels import AlertError, Level, Message, SlackChannel

__all__ = ["AlertError", "Level", "Message", "SlackChannel"]
