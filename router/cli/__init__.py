"""The command line: one verb a module (orders share ``act``), loaded only when it is used.

:data:`VERBS` is the whole list, in the order in which ``--help`` shows it. A verb is a
function, whose docstring is the help text and whose annotations are the options
(:mod:`router.cli.parse`). Nothing here knows the server: ``serve`` is added one floor higher, in
:mod:`router.__main__`.
"""

from router.cli.app import VERBS

__all__ = ["VERBS"]
