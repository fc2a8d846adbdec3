"""What the router counts and tells of itself: counters, metrics and the event log."""
