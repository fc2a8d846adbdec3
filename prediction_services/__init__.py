"""Flight-delay prediction services: real models, real data, and faults on demand.

They exist to be put behind a router: several versions of one model, served as aiohttp processes
that speak the Open Inference Protocol V2 and the older V1 protocol, beside a load generator that
counts what clients really saw and a fleet that starts and surely stops such processes.

Reading order: `flights` (what a client knows), `versions` (the table of versions), `wire` (the
protocols), `faults`, `service` (the HTTP application), `fleet`, `load`.

Nothing at import time of this package, of `fleet`, of `load` or of the version `static` imports
numpy or scikit-learn.
"""

MODEL_NAME = "flight-delay"
"""The one model these services serve, as in `/v2/models/flight-delay`."""
