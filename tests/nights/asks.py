"""People who ask: everything that can be read of a router, which must change nothing."""

from __future__ import annotations

from router.control.state.errors import ControlError

ROUTES = ("a", "b", "a@x", "nowhere")


def everything(night, number):
    """All views of one route, journal and metrics, in any phase, with any disk."""
    process = night.control()
    if process is None:
        return
    plane, route = process.plane, ROUTES[number % len(ROUTES)]
    process.call_soon(_views, night, plane, route)
    process.create_task(_pages(night, plane, route, number))


def _views(night, plane, route):
    controller = plane.controller
    before = _state(plane)
    for ask in (
        controller.names, controller.health, controller.ready, controller.prediction_log,
        lambda: controller.history(route, controller.now() - 1.0),
        lambda: controller.summary(route), lambda: controller.route(route),
        lambda: controller.rollout(route), lambda: controller.shadow(route),
        lambda: controller.whois(route, "u1"), lambda: controller.history(route),
        controller.data.pipeline, lambda: _quality(controller.data, route),
        lambda: repr((plane, controller, plane.store, plane.reconciler.runs.get(route))),
    ):  # fmt: skip
        try:
            ask()
        except ControlError:
            continue
        except Exception as error:
            night.checks.fail("asking ends in an exception", f"{route}: {error!r}")
    if _state(plane) != before:
        night.checks.fail("asking changes something", route)


async def _pages(night, plane, route, number):
    controller, wall = plane.controller, plane.clock.wall()
    for ask in (
        lambda: controller.journal(limit=3 + number % 3), lambda: controller.journal(route),
        lambda: controller.why(route), lambda: controller.why(route, wall - number % 9),
        controller.routes, controller.rollouts, controller.policy, controller.metrics_text,
        lambda: controller.acknowledge(route, actor="ann"),
        lambda: controller.data.performance(route, 5.0 + number % 2),
    ):  # fmt: skip
        try:
            await ask()
        except ControlError:
            continue
        except Exception as error:
            night.checks.fail("asking ends in an exception", f"{route}: {error!r}")


def _quality(desk, route):
    """What is watched of a route, and then everything about each signal."""
    for one in desk.quality(route).signals:
        desk.quality(route, one.name, one.segment, named=one.output)
    desk.quality(route, "nothing", "nowhere")


def _state(plane):
    """What no question may move."""
    runs = plane.reconciler.runs.values()
    held = [(run.record, run.pending, run.look_at, len(run.unsaved)) for run in runs]
    answers = [run.live and run.live.trial.answers for run in runs]
    return plane.reconciler.tables.newest, held, answers
