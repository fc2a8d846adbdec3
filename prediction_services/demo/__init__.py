"""A rollout to watch: real services, the real router, real load, and a report of what happened.

    python -m prediction_services demo            # the play, about 70 s
    python -m prediction_services demo --stay     # router and services, to try things by hand

Reading order: `policy` (the file an operator edits), `story` (the acts), `stage` (the processes),
`recording` (what was seen), `expectations` (what must have happened), `picture` (the terminal),
`report` (the page). Everything goes through the router's public faces: its YAML file, its admin
API, its metrics and its listener.
"""
