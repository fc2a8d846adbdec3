"""The command line: one verb a module, loaded only when it is used.

``VERBS`` is the whole list, in the order in which ``--help`` shows it. A verb's module has a
function ``run``; its docstring is the help text. Nothing here knows the server: ``serve`` is added
one floor higher, in :mod:`router.__main__`.
"""

from router.cli.app import build

VERBS: dict[str, str] = {
    "list": "Watch",
    "get": "Watch",
    "status": "Watch",
    "wait": "Watch",
    "why": "Watch",
    "history": "Watch",
    "whois": "Watch",
    "promote": "Act",
    "pause": "Act",
    "resume": "Act",
    "abort": "Act",
    "rollback": "Act",
    "retry": "Act",
    "set-weight": "Act",
    "freeze": "Act",
    "check": "Policy",
    "plan": "Policy",
    "schema": "Policy",
    "doctor": "Router",
    "version": "Router",
}
"""Verb -> its heading in the help; the module is ``router.cli.<verb>`` with ``_`` for ``-``."""

app = build(VERBS)
"""The command; :mod:`router.__main__` adds the verbs that need the server."""

__all__ = ["VERBS", "app", "build"]
