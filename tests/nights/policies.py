"""Policies of the nights: bases drawn by number, and edits of every key, valid or not."""

from __future__ import annotations

import functools
import json
import random
import zlib
from copy import deepcopy
from pathlib import Path

from router.config.check import loads
from router.config.problems import PolicyError
from router.config.source import parse

BASES = 400
OLD_BASES = 96
"""Those of before, which stories are about; the others have what came later as well."""
OBSERVED = 200
"""From here on answers are read: monitors, a prediction log, gates about what is predicted."""
USING = 320
"""From here on versions say what they use, too; and whoever is asked is shown a secret."""
HOOK_URL = "http://127.0.0.1:7000"
POINTS = ("confirm_rollout", "pre_rollout", "rollout", "confirm_traffic_increase",
          "confirm_promotion", "post_rollout", "rollback", "event")  # fmt: skip
SECRET = "a-secret-of-16-characters-and-more"


def port_of(route, version):
    """Where a version listens at first."""
    return {"a": 9100, "b": 9200}[route] + int(version[1:])


def base(number):
    """Policy ``number`` as plain values."""
    return deepcopy(_base(number))


class Verdicts:
    """What the product accepts of a base's drafts, in the order in which they are tried.

    That takes most of the time of drawing one, and is always the same: it is kept in a file, 0s and
    1s a base. `python -m tests.nights.policies` writes it, and a test compares some.
    """

    def __init__(self, file):
        self.file = file
        self.known = file.read_text().split() if file.exists() else []
        self.given = ""
        self._number = 0

    def begin(self, number):
        """Another base is drawn."""
        self._number, self.given = number, ""

    def __call__(self, draft):
        """Whether the product accepts what ``draft()`` answers."""
        known, at = self.known[self._number : self._number + 1], len(self.given)
        said = known[0][at : at + 1] if known else ""
        self.given += said or self._asked(draft)
        return self.given[-1] == "1"

    @staticmethod
    def _asked(draft):
        try:
            loads(json.dumps(draft()), "policy.yaml", {})
        except PolicyError:
            return "0"
        return "1"

    def written(self):
        """Ask anew, and keep it."""
        self.known = []
        made = []
        for number in range(BASES):
            _base.__wrapped__(number)
            made.append(self.given)
        self.file.write_text("\n".join(made) + "\n")


verdicts = Verdicts(Path(__file__).with_name("accepted.txt"))


@functools.lru_cache(BASES)
def _base(number):
    verdicts.begin(number)
    rng = random.Random(f"policy/{number}")
    names = ["a", "b"] if rng.random() < 0.6 else ["a"]
    made = {
        "listen": "127.0.0.1:18080",
        "store": "sqlite:///store.db",
        "workers": rng.choice([1, 1, 1, 2]),
        "control_silence": rng.choice(["3s", "5s"]),
        "limits": {"drain": "1s"},
        "routes": [_valid_route(rng, name) for name in names],
    }
    if number >= OLD_BASES:
        _more(rng, made)
    if number >= OLD_BASES + 64:
        _predicting(rng, made)
        _together(rng, made)
    if number >= OBSERVED:
        _observed(rng, made)
    if number >= USING:
        _using(rng, made)
    if rng.random() < 0.25:
        made["recording"] = {"file": "nights.recording", "keep": 1}
    if rng.random() < 0.1:
        made["alerts"] = [{"url": f"{HOOK_URL}/alerts", "retries": 1}]
    if len(names) == 2 and rng.random() < 0.5:
        grouped = deepcopy(made)
        one, other = grouped["routes"]
        other["rollout"] = deepcopy(one["rollout"])
        other["payload"] = one["payload"]
        one["rollout"]["group"] = other["rollout"]["group"] = "together"
        if verdicts(lambda: grouped):
            return grouped
    return made


def _more(rng, made):
    """What routers can be told since: each key as often as not."""
    for route in made["routes"]:
        for name, value in MORE.items():
            if rng.random() < 0.3:
                _tried(route, {name: value})
    if rng.random() < 0.5:
        made["alerts"] = [
            {"url": f"{HOOK_URL}/alerts", "retries": 1},
            {"url": f"{HOOK_URL}/slack", "kind": "slack", "retries": 0},
        ]
        made["admin"] = {"hosts": ["rampway.example.org"], "listen": "127.0.0.1:8081"}


def _predicting(rng, made):
    """Gates that read live answers, and what they need."""
    for route in made["routes"]:
        predictions = {"label": "predictions.0", "score": "predictions.0", "sample": "100%"}
        gates = [*route["rollout"]["gates"], rng.choice(PREDICTING)]
        rollout = route["rollout"] | {"gates": gates}
        _tried(route, {"payload": "json", "predictions": predictions, "rollout": rollout})


def _observed(rng, made):
    """Rows with features, labels and scores; what reads them; what is kept of them."""
    made["prediction_log"] = {"file": "nights.log", "age": "360d", "early": "360d"}
    for route in made["routes"]:
        feedback = {"secret": SECRET} | rng.choice([{}, {}, {"expires": "1m"}])
        route |= {"payload": "v1", "predictions": deepcopy(ROWS), "feedback": feedback}
        if rng.random() < 0.5:
            route["rollout"].pop("compare", None)
        _tried(route, {"log": rng.choice(LOGS)} if rng.random() < 0.7 else {})
        _tried(route, {"monitors": rng.choice(MONITORS)} if rng.random() < 0.6 else {})
        _tried(route, {"extraction": EXTRACTION} if rng.random() < 0.3 else {})
        _tried(route, {"sticky": rng.choice(STICKY)} if rng.random() < 0.2 else {})
        _tried(route, {"rules": [rng.choice(RULES)]} if rng.random() < 0.3 else {})
        for gate in rng.sample(OUTPUTS, rng.choice([0, 1, 2])):
            gates = [*route["rollout"]["gates"], gate]
            _tried(route, {"rollout": route["rollout"] | {"gates": gates}})

    if rng.random() < 0.3:
        made["alerts"] = [{"url": f"{HOOK_URL}/alerts", "on": ["rolled_back", "drift"]}]
    if len(made["routes"]) > 1 and rng.random() < 0.2:
        del made["routes"][1]["rollout"]


METRICS = (
    "/metrics", {"path": "/metrics", "interval": "1s", "timeout": "500ms", "orca": True},
    {"path": "/metrics", "interval": "1s", "series": {"queue": "own_queue"}}, {"orca": True},
)  # fmt: skip
PRICES = (
    {"per_request": 0.002, "per_hour": 3.0},
    {"per_1k_input_tokens": 0.5, "per_1k_output_tokens": 1.5},
)
USES = (
    {"resources": {"memory": "1GiB", "times_stable": 1.5, "queue": 20}},
    {"resources": {"memory": "1KiB", "cpu": 0.1, "on_fail": "rollback"}},
    {"resources": {"gpu": "50%", "gpu_memory": "50%", "on_fail": "notify"}},
    {"cost": {"per_request": 0.001, "answers": 20, "on_fail": "rollback"}},
    {"cost": {"per_hour": 9.0, "per_request": 5.0, "answers": 20}},
    {"cost": {"per_1k_tokens": 1.0, "answers": 20, "on_fail": "notify"}},
)  # fmt: skip
COPIED = {
    "by": "address", "window": "1m", "distinct": 100,
    "near": {"score": "predictions", "threshold": 0.5, "within": 0.5, "share": "1%", "answers": 20},
}  # fmt: skip
SHOWN = {"headers": {"Authorization": "Bearer a-secret"}}


def _using(rng, made):
    """What versions use and cost, gates on that; secrets that servers of others are shown."""
    for route in made["routes"]:
        if rng.random() < 0.4:
            _tried(route, {"payload": "openai", "predictions": {"sample": "100%"}})
        for name, version in route["versions"].items():
            priced = version | {"price": rng.choice(PRICES)}
            _tried(route, {"versions": route["versions"] | {name: priced}})
        _tried(route, {"metrics": rng.choice(METRICS)} if rng.random() < 0.8 else {})
        _tried(route, {"extraction": COPIED} if rng.random() < 0.5 else {})
        if not isinstance(route.get("rollout"), dict):
            continue
        for gate in rng.sample(USES, 2):
            kind, limits = next(iter(gate.items()))
            looked = {kind: limits | {"interval": "1s", "in_a_row": rng.choice([1, 3])}}
            _tried(route, {"rollout": _with(route["rollout"], "gates", looked)})
        asks = rng.choice(("rollback", "confirm_traffic_increase", "event"))
        _tried(route, {"rollout": _with(route["rollout"], "hooks", _hook(rng, asks))})
        for hook in route["rollout"].get("hooks", ()):
            next(iter(hook.values())).update(deepcopy(SHOWN))
        for gate in route["rollout"]["gates"]:
            if isinstance(gate, dict) and {*gate} & {"webhook", "prometheus"}:
                next(iter(gate.values())).update(deepcopy(SHOWN))
        if rng.random() < 0.4:
            mlflow = {"url": HOOK_URL, "model": "m", "retries": 1, **SHOWN}
            _tried(route, {"registry": {"mlflow": mlflow}})


def with_people(made, rng):
    """A policy of the night with people who look at answers, or who answer everything at first."""
    made = deepcopy(made)
    made["workers"] = rng.choice([1, 2])
    for route in made["routes"]:
        route.pop("extraction", None)  # the same answer is not read twice before it goes out
        if isinstance(route.get("rollout"), dict):
            route["rollout"].pop("group", None)
            route["rollout"].pop("rescue", None)
    for number, route in enumerate(made["routes"]):
        review = deepcopy(rng.choice(REVIEWS)) | {"lease": "1s", "within": rng.choice(WITHIN)}
        if rng.random() < 0.5:
            review |= {"webhook": {"url": f"{HOOK_URL}/review", "timeout": "500ms"}}
        reviewed = route | {"review": review}
        drafts = [reviewed, reviewed | {"log": {}, "monitors": None}]
        if rng.random() < 0.4 and isinstance(route.get("rollout"), dict):
            drafts.insert(0, _dialled(reviewed, rng.choice(DIALS)))
        for draft in drafts:
            routes = [*made["routes"][:number], draft, *made["routes"][number + 1 :]]
            if accepted(made | {"routes": routes}):
                made["routes"] = routes
                break
    return made


def _dialled(route, dial):
    """People serve it; the candidate gets there by the levels of automation."""
    made = deepcopy(route)
    made["versions"]["v1"] = {"person": True}
    made["rollout"] |= {"strategy": {"automation": deepcopy(dial)},
                        "gates": [{"agreement": {"at_least": "60%"}}]}  # fmt: skip
    return made


def accepted(made):
    """Whether the product takes a whole policy."""
    try:
        load(text_of(made))
    except PolicyError:
        return False
    return True


REVIEWS = (
    {"below": "80%", "then": "hold", "deadline": "1s", "audit": "20%"},
    {"below": "80%", "then": "hold", "deadline": "0s", "second": "50%"},
    {"below": "90%", "then": "provisional", "audit": "100%", "second": "100%"},
    {"below": "70%", "then": "refuse", "otherwise": "version", "score": "confidence"},
    {"below": "90%", "then": "hold", "deadline": "2s", "open": 3, "otherwise": "version"},
    {"below": "90%", "then": "hold", "deadline": "2s", "held": 1, "by": ["ann", "bob"]},
)  # fmt: skip
WITHIN = ("1s", "5s", "1h")
DIALS = (
    {"human_only": {"hold": "500ms"}, "shadow": {"hold": "500ms"}, "assist": {"hold": "500ms"},
     "partial": {"hold": "1s"}, "full": {"bake": "1s"}},
    {"shadow": {"until": {"samples": 3}}, "partial": {"hold": "2s"}, "full": {}},
)  # fmt: skip


def _with(rollout, name, one):
    return rollout | {name: [*rollout.get(name, ()), one]}


def _tried(route, more):
    """With more, where that is accepted."""
    if not more:
        return
    if verdicts(lambda: {"routes": [route | more]}):
        route.update(deepcopy(more))


def _together(rng, made):
    """Routes that wait for each other, and each for the same servers."""
    if len(made["routes"]) < 2 or rng.random() < 0.4:
        return
    one, other = made["routes"]
    grouped = deepcopy(one["rollout"]) | {"group": "together", "gates": ["error_rate"]}
    grouped.pop("for_each", None)
    grouped["hooks"] = [
        {point: {"url": f"{HOOK_URL}/{point}", "timeout": "500ms", "retries": 0, "interval": "1s"}}
        for point in ("confirm_traffic_increase", "confirm_promotion")
    ]
    tried = deepcopy(made)
    for route in tried["routes"]:
        route["rollout"] = deepcopy(grouped)
        route["payload"] = one["payload"]
    if verdicts(lambda: tried):
        one.update(tried["routes"][0])
        other.update(tried["routes"][1])


PREDICTING = ({"nulls": {}}, {"nulls": {"by": {"header": "X-Country"}}})

ROWS = {
    "label": "label", "score": "score", "classes": ["yes", "no"], "range": [0, 1],
    "features": {"amount": "numeric", "kind": "categorical"}, "sample": "100%",
}  # fmt: skip
STICKY = ({"cookie": {"secret": SECRET}}, {"json": "user"}, {"header": "X-User-Id"})
RULES = (
    {"match": {"headers": {"X-Debug": {"present": True}}}, "version": "v3"},
    {"match": {"headers": {"X-Debug": {"prefix": "n"}}}, "version": "v2"},
    {"match": {"headers": {"X-Country": {"regex": "x|y"}}}, "version": "v3"},
    {"match": {"headers": {"X-Debug": "new"}}, "version": "v1"},
)
EXTRACTION = {
    "by": "address", "window": "1m",
    "near": {"score": "predictions", "threshold": 0.5, "within": 0.4, "share": "10%",
             "answers": 20},
}  # fmt: skip
LOGS = (
    {}, {"sample": "50%"}, {"bodies": True, "redact": ["user"]}, {"person": "user"},
    {"mature": "2s"},
)  # fmt: skip
_SOON = {"window": "1s", "season": "8s", "requests": 50}
MONITORS = (
    {**_SOON, "reference": {"past": "1s"}},
    {**_SOON, "reference": {"past": "1s"}, "on_drift": "notify", "on_candidate": "hold"},
    {**_SOON, "reference": "training.csv"},
    {**_SOON, "reference": "training.csv", "on_drift": "notify", "on_candidate": "notify"},
)
OUTPUTS = (
    {"nulls": {}}, {"classes": {}}, {"scores": {}}, {"classes": {"by": {"header": "X-Country"}}},
    {"scores": {"by": {"feature": "kind"}}}, {"fairness": {"by": {"feature": "kind"}}},
    {"accuracy": {}}, {"auc": {}}, {"mae": {}}, {"business": {}},
    {"positive_rate": {"margin": "30%"}},
)  # fmt: skip

MORE = {
    "quota": {"by": "address", "rate": "3/s", "burst": 4},
    "extraction": {"by": "address", "window": "1m", "distinct": 100,
                   "near": {"score": "score", "threshold": 0.5, "within": 0.1, "share": "10%",
                            "answers": 5}},
    "sticky": {"header": "X-User-Id"},
    "feedback": {"secret": SECRET, "expires": "5s"},
    "errors": ["5xx", 429],
    "retry": {"attempts": 2},
    "predictions": {"label": "predictions.0"},
}  # fmt: skip


def _valid_route(rng, name):
    """The first that is drawn which the product accepts."""
    while True:
        route = _route(rng, name)
        if route["rollout"]["strategy"].get("experiment"):
            route["sticky"] = {"header": "X-User-Id"}
            route.pop("pin", None)
            route.pop("rules", None)
        if verdicts(lambda made=route: {"routes": [made]}):
            return route


def _route(rng, name):
    versions = {f"v{n}": _version(rng, name, n) for n in (1, 2, 3)}
    route = {
        "name": name, "match": {"path": f"/{name}"}, "versions": versions, "stable": "v1",
        "payload": rng.choice(["opaque", "json", "v1"]),
        "timeouts": {"connect": "400ms", "response": rng.choice(["600ms", "2s"]), "body": "1s"},
        "rollout": _rollout(rng),
    }  # fmt: skip
    if rng.random() < 0.25:
        route["sticky"] = {"header": "X-User-Id"}
    if rng.random() < 0.2:
        route["pin"] = True
    if rng.random() < 0.15:
        exact = {"X-Debug": {"exact": "new"}}
        route["rules"] = [{"match": {"headers": exact}, "version": "v2"}]
    if rng.random() < 0.2:
        route["feedback"] = {"secret": SECRET}
    if rng.random() < 0.1:
        route["registry"] = {"mlflow": {"url": HOOK_URL, "model": name, "retries": 1,
                                        "aliases": {"stable": "champion"}}}  # fmt: skip
    return route


def _version(rng, route, number):
    version = {"endpoints": [f"http://127.0.0.1:{port_of(route, f'v{number}')}"]}
    if rng.random() < 0.15:
        version["endpoints"].append(f"http://127.0.0.1:{port_of(route, f'v{number}') + 10}")
    if rng.random() < 0.1:
        version["model"] = f"m{number}"
    if rng.random() < 0.15:
        version["health"] = {"path": "/health", "interval": "1s", "timeout": "300ms"}
    if rng.random() < 0.1:
        version |= {"in_flight": 1, "connections": 1, "queue": 1, "queue_timeout": "300ms"}
    return version


def _strategy(rng):
    kind = rng.random()
    hold = rng.choice(["0s", "500ms", "1s", "2s"])
    bake = rng.choice(["0s", "1s", "2s"])
    if kind < 0.5:
        steps = [{"weight": w, "hold": hold} for w in rng.choice(
            [["50%"], ["10%", "50%"], ["30%", "60%", "90%"], ["5%", "100%"]])]  # fmt: skip
        if rng.random() < 0.3:
            steps.insert(0, {"mirror": "100%", "hold": hold, "until": {"samples": 3}})
        if rng.random() < 0.25:
            then = rng.choice(["abort", "promote", "hold"])
            steps.insert(1, {"approval": {"deadline": rng.choice(["1s", "30s"]), "then": then}})
        return {"canary": {"steps": steps, "bake": bake}}
    if kind < 0.6:
        return {"canary": {"ramp": {"auto": {"to": "50%", "budget": 20, "hold": hold}}}}
    if kind < 0.66:
        ramp = {"linear": {"start": "20%", "step": "30%", "to": "80%", "hold": hold}}
        return {"canary": {"ramp": ramp, "bake": bake}}
    if kind < 0.8:
        blue_green = {"mirror": "50%", "hold": hold, "over": rng.choice(["0s", "2s"]), "bake": bake}
        if rng.random() < 0.3:
            blue_green["approval"] = {"deadline": "3s", "then": "promote"}
        return {"blue_green": blue_green}
    if kind < 0.92:
        shadow = {"mirror": "100%", "hold": "1s", "until": {"samples": 5}}
        if rng.random() < 0.5:
            shadow["then"] = {"canary": {"steps": [{"weight": "50%", "hold": hold}], "bake": bake}}
        if rng.random() < 0.3:
            shadow["also"] = ["v3"]
        return {"shadow": shadow}
    arms = {"v2": "30%", "v3": "20%"}
    experiment = {"arms": arms, "for": "6s"}
    if rng.random() < 0.7:
        experiment["bandit"] = {"every": "1s", "floor": "5%"}
    return {"experiment": experiment}


GATES = (
    "error_rate", {"guard": {"error_rate": "20%"}}, {"latency": {"quantiles": [0.5, 0.99]}},
    {"slo": {"slower_than": "300ms"}}, {"agreement": {"at_least": "60%"}},
    {"webhook": {"url": f"{HOOK_URL}/gate", "interval": "1s", "timeout": "500ms"}},
    {"prometheus": {"url": HOOK_URL, "query": "up", "at_most": 0.9, "interval": "1s",
                    "timeout": "500ms"}},
    {"accuracy": {}}, {"positive_rate": {"margin": "30%"}},
    {"shadow_slo": {"slower_than": "300ms", "margin": "20%"}},
)  # fmt: skip


def _rollout(rng):
    made = {
        "candidate": "v2",
        "strategy": _strategy(rng),
        "gates": ["error_rate", {"guard": {"error_rate": "20%"}}],
        "detect": {"times": 100, "points": "50%"},
        "on_new_candidate": rng.choice(["queue", "start", "replace"]),
        "anti_flap": {"backoff": "0s", "backoff_max": "0s", "per_day": 100},
    }
    if rng.random() < 0.3:
        made["gates"] = ["error_rate", *rng.sample(GATES[1:], 2)]
    if rng.random() < 0.3:
        made["rescue"] = {"on": rng.choice([["5xx", "timeout", "connect"], ["schema", "connect"]])}
        made["rescue"]["excuse_payload"] = rng.random() < 0.5
    if rng.random() < 0.4:
        made["hooks"] = [_hook(rng, point) for point in rng.sample(POINTS, rng.choice([1, 1, 2]))]
    if rng.random() < 0.15:
        made["rollback"] = {"over": "3s", "gates": rng.choice(["instant", "stepped"])}
    if rng.random() < 0.1:
        made["max_duration"] = "8s"
        made["on_inconclusive"] = rng.choice(["hold", "promote", "rollback"])
    if rng.random() < 0.1:
        made["on_no_data"] = {"after": "3s", "then": rng.choice(["hold", "abort"])}
    if rng.random() < 0.1:
        made["max_bad_responses"] = 5
    if rng.random() < 0.1:
        made["answer_within"] = "400ms"
    if rng.random() < 0.06:
        made["warm_up"] = {"requests": 3}
    if rng.random() < 0.1:
        made["compare"] = {"noise": "50%", "noise_pairs": 3, "reverse": "20%"}
    if rng.random() < 0.08:
        made["windows"] = ["mon-sun 00:00-23:00 UTC"]
    if rng.random() < 0.06:
        made["promotion"] = {"margin": "20%", "risk": "20%"}
    if rng.random() < 0.08:
        values = ["x", "y"]
        made["for_each"] = {"header": "X-Country", "values": values, "stop_all_when": 2}
    return made


def _hook(rng, point):
    hook = {"url": f"{HOOK_URL}/{point}", "timeout": "500ms", "retries": rng.choice([0, 1])}
    if point not in ("post_rollout", "event"):
        hook["interval"] = "1s"
    if point in ("pre_rollout", "rollout"):
        hook["failure_limit"] = rng.choice([0, 2])
    return {point: hook}


# --- edits -------------------------------------------------------------------------------------

GONE = object()

EDITS = (
    ("routes.0.stable", "v2"), ("routes.0.stable", "v3"), ("routes.0.stable", "nobody"),
    ("routes.0.versions.v2", GONE), ("routes.0.versions.v1", GONE), ("routes.0.versions.v3", GONE),
    ("routes.0.versions.v2.endpoints", ["http://127.0.0.1:9112"]),
    ("routes.0.versions.v2.endpoints", ["http://127.0.0.1:9102", "http://127.0.0.1:9112"]),
    ("routes.0.versions.v2.endpoints", []), ("routes.0.versions.v2.endpoints", "here"),
    ("routes.0.versions.v2.model", "m7"), ("routes.0.versions.v2.model", 7),
    ("routes.0.versions.v2.in_flight", 2), ("routes.0.versions.v2.in_flight", -1),
    ("routes.0.versions.v1.health", {"path": "/health", "interval": "1s"}),
    ("routes.0.versions.v2.outlier", {"consecutive": 0}),
    ("routes.0.versions.v2.warm_connections", 2),
    ("routes.0.rollout", GONE), ("routes.0.rollout.candidate", "v3"),
    ("routes.0.rollout.candidate", "v1"), ("routes.0.rollout.candidate", "v9"),
    ("routes.0.rollout.strategy", {"canary": {"steps": [{"weight": "20%", "hold": "1s"}]}}),
    ("routes.0.rollout.strategy", {"shadow": {"mirror": "50%", "hold": "1s"}}),
    ("routes.0.rollout.strategy", {}), ("routes.0.rollout.gates", []),
    ("routes.0.rollout.gates", ["error_rate"]), ("routes.0.rollout.gates", ["cascade", "no_such"]),
    ("routes.0.rollout.group", "alone"), ("routes.0.rollout.hooks", []),
    ("routes.0.rollout.hooks", [{"confirm_promotion": {"url": f"{HOOK_URL}/confirm_promotion",
                                                       "interval": "1s", "timeout": "500ms"}}]),
    ("routes.0.rollout.rescue", {"on": ["5xx"]}), ("routes.0.rollout.on_new_candidate", "replace"),
    ("routes.0.rollout.on_new_candidate", "perhaps"), ("routes.0.rollout.max_duration", "1s"),
    ("routes.0.rollout.windows", ["mon-sun 00:00-23:59 UTC"]), ("engine", "nginx"),
    ("routes.0.rollout.anti_flap", {"backoff": "1h"}),
    ("routes.0.rollout.rollback", {"over": "2s"}),
    ("routes.0.rollout.rollback_window", "1s"), ("routes.0.rollout.min_bad_responses", 3),
    ("routes.0.rollout.hold_level", 2), ("routes.0.rollout.false_rollback_rate", "5%"),
    ("routes.0.rollout.mirroring", {"concurrency": 1, "queue": 1}),
    ("routes.0.rollout.compare", {"decide_on": ["predict"]}),
    ("routes.0.rollout.answer_within", "300ms"), ("routes.0.rollout.for_each", GONE),
    ("routes.0.sticky", {"header": "X-Other"}), ("routes.0.sticky", GONE), ("routes.0.pin", True),
    ("routes.0.sticky", {"cookie": {"secret": SECRET}}), ("routes.0.sticky", {"json": "user"}),
    ("routes.0.errors", ["5xx", 404]), ("routes.0.payload", "openai"), ("routes.0.payload", "xml"),
    ("routes.0.retry", {"attempts": 0}), ("routes.0.buffer", "1KiB"),
    ("routes.0.reveal_version", False), ("routes.0.body_limit", "10B"),
    ("routes.0.match", {"path": "/c"}), ("routes.0.name", "renamed"), ("routes.0.name", "b"),
    ("routes.0.split", {"v1": "80%", "v3": "20%"}), ("routes.0.registry", GONE),
    ("routes.0.feedback", {"secret": SECRET}), ("routes.0.feedback", {"secret": "short"}),
    ("routes.0.timeouts", {"response": "1s"}), ("routes.0.feeds", ["nobody"]),
    ("routes.0.rules", [{"match": {"headers": {"X-Debug": "new"}}, "version": "v3"}]),
    ("routes.0", GONE), ("routes.1", GONE), ("routes.1.rollout", GONE), ("routes.1.stable", "v2"),
    ("routes.1.rollout.candidate", "v3"), ("routes.1.versions.v2.model", "m8"),
    ("routes", []), ("workers", 3), ("workers", "many"), ("control_silence", "4s"),
    ("control_silence", "1s"), ("limits.in_flight", 4), ("limits.drain", "500ms"),
    ("limits.connections", 3), ("limits.head", "1KiB"), ("listen", "127.0.0.1:1"),
    ("store", "sqlite:///other.db"), ("access_log", False), ("trusted_proxies", ["10.0.0.0/8"]),
    ("trusted_proxies", ["nowhere"]), ("recording", GONE), ("unknown_key", 1),
    ("recording", {"file": "other.recording", "size": "64KiB", "keep": 1}),
    ("alerts", [{"url": f"{HOOK_URL}/alerts", "kind": "slack"}]), ("admin.listen", "127.0.0.1:2"),
    ("routes.0.monitors", GONE), ("routes.0.log", GONE), ("routes.0.log", {"mature": "1s"}),
    ("routes.0.predictions.sample", "10%"), ("routes.0.predictions.features", ["kind"]),
    ("routes.0.monitors", {**_SOON, "reference": "other.csv"}), ("prediction_log", GONE),
    ("routes.0.monitors.on_drift", "notify"), ("routes.0.predictions", GONE),
    ("prediction_log.file", "other.log"), ("routes.0.quota", GONE),
    ("routes.0.quota", {"by": "address", "rate": "1/s", "burst": 1}),
)  # fmt: skip
"""(path, value): one key each; a few are not valid, and some only beside certain others."""


def _of_every_key():
    """Each key of the policy that has all keys, with its values there; and a template."""
    known = parse(REFERENCE.read_bytes(), "policy.yaml").value
    yield from ((name, value) for name, value in known.items() if name not in ("listen", "routes"))
    yield from ((f"limits.{name}", value) for name, value in known["limits"].items())
    for route in known["routes"]:
        plain = route.keys() - {"name", "match", "versions", "stable", "rollout"}
        yield from ((f"routes.0.{name}", route[name]) for name in sorted(plain))
        yield "routes.0.match", route["match"] | {"path": "/a"}
        for name, value in (route.get("rollout") or {}).items():
            if name != "candidate":
                yield f"routes.0.rollout.{name}", value
        for version in route["versions"].values():
            for name, value in version.items():
                if name != "endpoints":
                    yield f"routes.0.versions.v2.{name}", value
    yield "templates", {"careful": {"payload": "$(kind)"}}
    yield "routes.0.template", "careful"
    yield "routes.0.with", {"kind": "json"}


REFERENCE = Path(__file__).resolve().parents[2] / "configs" / "reference.yaml"
EDITS += tuple({f"{path} {json.dumps(value)}": (path, value)
                for path, value in _of_every_key()}.values())  # fmt: skip
"""And every key once more with the values of `configs/reference.yaml`, valid or not."""

ABOUT = ("stable", "versions.v2", "candidate", "on_new_candidate", "routes.0.rollout", "routes.1")
WORSE = {2: 6, 8: 7, 9: 6, 11: 7, 20: 6}
"""Edits that no file may have, and in their place one that moves a version elsewhere."""
MEANT = [
    WORSE.get(number, number) for number, (path, _) in enumerate(EDITS)
    if path.endswith(ABOUT) or "versions.v2.endpoints" in path or "v2.model" in path
]  # fmt: skip
"""Edits that change what a rollout is about."""

WRECKS = ("", "routes: [", "\x00", "routes: {a: 1}\nroutes: 2\n", "- 1\n- 2\n")
"""Files that are no policy at all."""


def edited(policy, number):
    """``policy`` with edit ``number`` applied, as far as its path leads anywhere."""
    path, value = EDITS[number % len(EDITS)]
    made = deepcopy(policy)
    *way, last = path.split(".")
    place = made
    for part in way:
        key = int(part) if isinstance(place, list) else part
        if isinstance(place, list):
            if key >= len(place):
                return made
            place = place[key]
        else:
            if not isinstance(place, dict):
                return made
            place = place.setdefault(key, {})
    if isinstance(place, list):
        if value is GONE and int(last) < len(place):
            del place[int(last)]
    elif value is GONE:
        place.pop(last, None)
    else:
        place[last] = deepcopy(value)
    return made


def text_of(policy):
    """The file. Every route of one file has the same ``buffer``, which no other file has."""
    made = deepcopy(policy)
    own = zlib.crc32(json.dumps(policy).encode()) % 30_000
    for route in made.get("routes") or ():
        if isinstance(route, dict):
            route.setdefault("buffer", f"{70_000 + own}B")
    return json.dumps(made)  # with an indent it takes five times as long


@functools.lru_cache(2_048)
def _loaded(text):
    try:
        return loads(text, "policy.yaml", {})
    except PolicyError as error:
        return error


def load(text):
    """As the product's; from memory the second time. Raises PolicyError."""
    found = _loaded(text)
    if isinstance(found, PolicyError):
        raise PolicyError(found.problems)
    return found


if __name__ == "__main__":
    verdicts.written()
