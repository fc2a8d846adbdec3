"""Kinds of Kubernetes that others publish, and a checker of manifests of them (README.md here)."""
