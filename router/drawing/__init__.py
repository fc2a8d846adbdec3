"""The drawing kit of every page: the demo's report, the command line's reports, the dashboard.

`plot` makes drawings that need no script; `kit.css` has the colours and marks of all of them;
`vendored/` holds the two libraries of the living page, with licences and digests in `NOTICES.md`.
"""
