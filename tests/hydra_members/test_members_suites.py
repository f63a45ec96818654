"""The tests that Hydra keeps for authors of launchers and sweepers."""

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite
from hydra.version import _UNSPECIFIED_, VersionBase

from soaked import every

VECTORIZED = {"defaults": [{"override hydra/launcher": "vectorized"}, {"override hydra/sweeper": "grid"}]}

# The suites do not name a version_base, so that Hydra warns of what its 1.1 did: change the working folder.
hydras_own = pytest.mark.filterwarnings("ignore:Future Hydra versions will no longer change working directory")


@pytest.fixture(autouse=True)
def no_version_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra keeps what other tests of this process have named."""
    monkeypatch.setattr(VersionBase.instance(), "version_base", _UNSPECIFIED_)


def test_the_plugins_are_found() -> None:
    names = {plugin.__name__ for kind in (Launcher, Sweeper) for plugin in Plugins.instance().discover(kind)}
    assert {"VectorizedLauncher", "GridSweeper"} <= names


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    every(3, [("vectorized", ["hydra/sweeper=grid"]), ("vectorized", []), ("basic", ["hydra/sweeper=grid"])]),
)
class TestLaunchers(LauncherTestSuite):
    pytestmark = hydras_own


@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [
        ("vectorized", ["hydra/sweeper=grid", "hydra.sweeper.max_batch_size=2"]),
        ("basic", ["hydra/sweeper=grid", "hydra.sweeper.max_batch_size=2"]),
    ],
)
class TestBatches(BatchedSweeperTestSuite):
    pytestmark = hydras_own


@pytest.mark.soak
@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [(VECTORIZED, ["-m"])])
class TestCommands(IntegrationTestSuite):
    pytestmark = hydras_own
