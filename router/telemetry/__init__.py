"""What the router remembers: counters, metrics, the event log and the prediction log."""
