"""YAML files to policies: places, problems, expansion, schema, differences."""

from router.config.check import LoadedPolicy, load, loads
from router.config.problems import Mark, PolicyError, Problem, Severity, render

__all__ = ["LoadedPolicy", "Mark", "PolicyError", "Problem", "Severity", "load", "loads", "render"]
