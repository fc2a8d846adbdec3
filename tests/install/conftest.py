"""What somebody installs who has no checkout: the wheel and the sdist, built once."""

import pytest

from tests.install.shell import BUILDER, ROOT, run


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel that was built from it and nothing else."""
    folder = tmp_path_factory.mktemp("dist")
    run(BUILDER, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    """The wheel."""
    (path,) = built.glob("*.whl")
    return path
