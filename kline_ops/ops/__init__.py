"""Sessions on this machine: tmux, the supervisor, starting and stopping."""
