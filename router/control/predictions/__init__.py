"""What is made of predictions beside rollouts: monitors, references, the log, late truth."""
