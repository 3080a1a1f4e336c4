"""One YAML file a session: its typed form, where it is found, and what it comes to."""
