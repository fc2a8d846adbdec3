"""The process that reads what versions answered, for comparison: nothing waits for it."""
