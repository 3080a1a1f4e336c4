"""What one can look at: the log, the event log, the terminal. Listeners only."""
