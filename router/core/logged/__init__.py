"""What is kept of predictions, and what later becomes known about them."""
