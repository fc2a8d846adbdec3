"""Rollouts in virtual time: the product's own judge, machine and plan in a drawn world.

``simulate`` runs a policy many times; ``python -m tests.bench.decisions`` makes the
tables of docs/statistics.md.
"""

from router.simulation.access_log import read_access_log
from router.simulation.recording import read_recording, read_traffic
from router.simulation.report import render_html, render_json, render_text
from router.simulation.result import SimulationResult, simulate
from router.simulation.run import Setup, SimulatedRun, run_once
from router.simulation.scenario import Bursts, LatencyModel, Scenario, Traffic
from router.simulation.world import MADE

__all__ = [
    "MADE",
    "Bursts",
    "LatencyModel",
    "Scenario",
    "Setup",
    "SimulatedRun",
    "SimulationResult",
    "Traffic",
    "read_access_log",
    "read_recording",
    "read_traffic",
    "render_html",
    "render_json",
    "render_text",
    "run_once",
    "simulate",
]
