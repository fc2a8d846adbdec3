"""The claims of docs/statistics.md, by seeded simulation through the product's own core."""
