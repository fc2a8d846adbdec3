"""What a version is asked otherwise than the client asked, as a policy says it."""

import pytest

from router.config.check import loads
from router.config.problems import PolicyError
from router.control.rollouts.lifecycle import settle
from router.control.rollouts.publish import Situation, entry_of
from router.core.wire.edits import EditEntry

POLICY = """
listen: 127.0.0.1:8080
routes:
  - name: r
    match: {{path: {path}}}
    versions:
      a: {{endpoints: ["http://127.0.0.1:9001"], set: {a}}}
      b: {{endpoints: ["{scheme}://127.0.0.1:9001"], health: {{path: /ready}}, set: {b}}}
    stable: a
"""


def policy(b, *, path="/r", a="{model: a}", scheme="http"):
    return loads(POLICY.format(a=a, b=b, path=path, scheme=scheme), "p.yaml")


def published(b, **more):
    route = policy(b, **more).policy.routes[0]
    return entry_of(Situation(route, settle(route, None, 0.0).record, (0.1,), 0.1)).versions[1]


def test_all_of_it_reaches_the_workers():
    edit = "{model: m, path: /b/*, host: 'b.svc:8443', headers: {X-Tenant: b, X-Gone: ''}}"
    version = published(edit, path="/a/*", scheme="https")
    headers = (("X-Tenant", "b"), ("X-Gone", ""))
    assert version.edit == EditEntry("m", "/b/*", "/a/", "b.svc:8443", headers)
    assert version.health.host == "b.svc:8443"
    assert version.tls.server_name == "b.svc"


def test_without_a_host_nothing_else_is_expected():
    version = published("{model: m}", scheme="https")
    assert (version.health.host, version.tls.server_name) == ("", None)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("{headers: {Content-Length: '1'}}", "no field that the router writes itself"),
        ("{headers: {X-Forwarded-For: a}}", "no field that the router writes itself"),
        ("{headers: {X-Rampway-Pin: a}}", "no field that the router writes itself"),
        ('{headers: {X-A: "a\\r\\nX-B: b"}}', "visible characters"),
        ("{path: b}", "expected a path"),
        ("{path: '/b?x=1'}", "expected an exact path"),
        ("{path: '/a b'}", "expected a path"),
        ("{path: /b/*}", "the route's own path has none to stand for"),
        ("{host: 'a b'}", "expected a host such as"),
        ('{host: "a\\r\\nX: b"}', "expected a host such as"),
        ("{modle: a}", "modle"),
        ("{}", "expected at least one of"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_place(edit, said):
    with pytest.raises(PolicyError) as caught:
        policy(edit)
    assert said in str(caught.value)


def test_two_at_one_address_are_no_mistake_where_they_are_asked_otherwise():
    assert not policy("{model: b}").warnings
    (warning,) = policy("{model: a}").warnings
    assert "is also an endpoint of 'a'" in warning.message


@pytest.mark.parametrize(
    ("edit", "which"),
    [
        ("{model: m, path: /x}", "m"),
        ("{path: /x}", "/x"),
        ("{host: h, path: /x}", "h/x"),
        ("{headers: {X-A: secret}}", "headers-"),
    ],
)
def test_which_of_them_it_is_is_told_without_a_secret(edit, which):
    version = policy(edit).policy.routes[0].versions["b"]
    assert version.which.startswith(which)
    assert "secret" not in version.which
