"""What the planes tell each other: the routing table down, counted outcomes up."""
