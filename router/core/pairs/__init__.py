"""Two answers to one request: how they are compared, counted and labelled."""
