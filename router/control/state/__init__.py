"""What is remembered: records of routes, the store that keeps them, its clock, its errors."""
