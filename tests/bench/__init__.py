"""The benchmarks beside the peers: `make bench`."""
