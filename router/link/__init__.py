"""The messages between control and workers, and the socket that carries them."""
