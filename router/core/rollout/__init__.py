"""A rollout: its plan, its events, the machine that walks it, and the traffic that follows."""
