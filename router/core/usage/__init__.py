"""What versions say about themselves: memory, CPU, GPU, queue; and what their answers cost."""
