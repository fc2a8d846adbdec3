"""The documentation is tested: its policies load, its links lead somewhere, its commands exist."""

import re
from pathlib import Path

import pytest

from router.config import loads
from router.core.gates import GATES
from router.core.payloads import PAYLOADS
from router.core.strategies import STRATEGIES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "deploy/README.md"])
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
YAML = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def policies():
    for page in PAGES:
        for number, block in enumerate(YAML.findall(page.read_text())):
            if re.search(r"^routes:", block, re.MULTILINE):
                yield pytest.param(block, id=f"{page.relative_to(ROOT)}#{number}")


@pytest.mark.parametrize("text", list(policies()))
def test_policies_in_the_docs_load(text):
    loaded = loads(text, "example.yaml")
    for route in loaded.policy.routes:
        if route.rollout is not None:
            assert route.rollout.plan().steps


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text()
    targets = [t for t in LINK.findall(text) + IMAGE.findall(text) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert missing == []


def test_every_page_is_in_the_site():
    """Below mkdocs.yml's nav; `make site` says the same, later."""
    nav = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    docs = ROOT / "docs"
    assert {str(page.relative_to(docs)) for page in docs.glob("**/*.md")} == nav


def test_the_readme_is_short_and_names_the_two_commands():
    readme = (ROOT / "README.md").read_text()
    assert readme.count("\n") < 150
    for command in ("make demo", "make test"):
        assert command in readme
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_commands_in_the_readme_exist():
    from router.cli import VERBS

    known = {*VERBS, "serve", "demo"}
    used = set(re.findall(r"^rampway ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert used <= known


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("gates", name) for name in GATES),
        *(("strategies", name) for name in STRATEGIES),
        *(("payloads", name) for name in PAYLOADS),
    ],
)
def test_what_can_be_extended_is_tested_documented_and_shown(kind, name):
    """A new gate, strategy or payload needs a test, a docs entry and an example."""
    tests = [p for p in ROOT.glob("tests/**/test_*.py") if name in p.read_text()]
    assert [p for p in tests if p != Path(__file__)], f"no test mentions {name}"
    page = (ROOT / "docs/policy.md").read_text()
    assert f"### {name}\n" in page or f"| `{name}` |" in page, "run `make docs`"
    examples = "".join(p.read_text() for p in ROOT.glob("configs/*.yaml"))
    assert re.search(rf"\b{name}\b", examples), f"no example in configs/ shows {name}"
