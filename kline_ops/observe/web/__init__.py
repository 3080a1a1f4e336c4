"""HTTP: health, metrics, status, events and the page, in the recorder's own loop."""
