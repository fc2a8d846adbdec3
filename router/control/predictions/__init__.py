"""What is made of predictions beside rollouts: monitors of data, and references they are held to."""
