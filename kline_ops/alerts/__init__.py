"""Who is told: messages for people, and the channels that bring them."""

from kline_ops.alerts.channels import channel_of, send_patiently
from kline_ops.alerts.manager import AlertManager
from kline_ops.alerts.message import AlertError, Channel, Level, Message
from kline_ops.alerts.slack import SlackChannel
from kline_ops.alerts.webhook import WebhookChannel

__all__ = [
    "AlertError",
    "AlertManager",
    "Channel",
    "Level",
    "Message",
    "SlackChannel",
    "WebhookChannel",
    "channel_of",
    "send_patiently",
]
