"""How the admin interface of a router is reached by others."""

import pytest

from router.control.fleet import peers


@pytest.mark.parametrize(
    ("url", "local", "reached"),
    [
        ("http://127.0.0.1:8081", ("10.0.0.5", 4711), "http://127.0.0.1:8081"),
        ("https://0.0.0.0:8081", ("10.0.0.5", 4711), "https://10.0.0.5:8081"),
        ("https://[::]:8081", ("fd00::5", 4711, 0, 0), "https://[fd00::5]:8081"),
        ("https://router-a:8081", ("10.0.0.5", 4711), "https://router-a:8081"),
    ],
)
def test_an_address_that_means_all_is_the_one_towards_the_database(url, local, reached):
    assert peers.as_others_reach(url, local) == reached


def test_over_a_file_the_machine_has_its_name(monkeypatch):
    monkeypatch.setattr(peers.socket, "gethostname", lambda: "router-a")
    assert peers.as_others_reach("https://0.0.0.0:8081", "") == "https://router-a:8081"


def test_a_network_has_one_name_and_no_proc_is_no_fault(monkeypatch, tmp_path):
    assert peers.network() == peers.network() != ""
    monkeypatch.setattr(peers, "Path", lambda name: tmp_path / name.lstrip("/"))
    monkeypatch.setattr(peers.socket, "gethostname", lambda: "router-a")
    assert peers.network() == "router-a"
