"""The workers of this router, and what only the control process can make of their reports."""
