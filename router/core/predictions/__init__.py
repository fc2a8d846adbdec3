"""What is predicted, row by row: what a policy declares, and how it is found in bodies."""
