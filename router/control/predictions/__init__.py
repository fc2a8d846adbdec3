"""What is made of predictions beside rollouts: monitors, and references that they hold to."""
