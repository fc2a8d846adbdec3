"""What somebody outside is asked about two answers, and what he says."""
