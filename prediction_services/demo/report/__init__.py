"""The page a run leaves behind: one file, drawings inside, nothing loaded from anywhere."""

from prediction_services.demo.report.page import render

__all__ = ["render"]
