"""Under versions of Hydra and OmegaConf that nobody has tried, Hydra composes each job, and a line says so."""

import ast
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
import members_app
import omegaconf
import pytest
from members_hydra import assert_same_jobs, start
from test_members_commands import APP, VECTORIZED, App

from command_line import Result, environment, finish
from hydra_members import composer as composing
from hydra_members.composer import Composer
from soaked import only

pytestmark = pytest.mark.usefixtures("hydra_restore_singletons")

Break = Callable[[pytest.MonkeyPatch], None]


def next_hydra(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(composing, "installed", lambda: {"hydra-core": "1.4.0", "omegaconf": "2.3.1"})


def next_omegaconf(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(composing, "installed", lambda: {"hydra-core": "1.3.8", "omegaconf": "2.4.0"})


def private_module_gone(patch: pytest.MonkeyPatch) -> None:
    for name in ("hydra_internals", "working_copy", "fast_composition"):
        patch.delitem(sys.modules, f"hydra_members.{name}", raising=False)
    patch.setitem(sys.modules, "hydra._internal.config_loader_impl", None)
    patch.delattr("hydra._internal.config_loader_impl")


BREAKS = pytest.mark.parametrize("change", only([next_hydra, next_omegaconf, private_module_gone], next_hydra))


def test_the_versions_that_are_installed_were_tested() -> None:
    assert hydra.__version__ in composing.TESTED["hydra-core"]
    assert omegaconf.__version__ in composing.TESTED["omegaconf"]


@BREAKS
def test_the_same_configurations(change: Break, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = start(members_app.make(tmp_path))
    change(monkeypatch)
    composer = Composer(sweep.loader, sweep.master)
    assert composer._fast is None
    chance = random.Random(0)
    for _ in range(3):
        assert_same_jobs(sweep, composer, members_app.random_jobs(chance, length=3))
    with pytest.raises(Exception, match="port"):
        composer.check(["typed.port=bad"], 0)


def test_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    sweep = start(members_app.make(tmp_path))
    composing._say_that_it_is_slow.cache_clear()
    next_hydra(monkeypatch)
    for _ in range(2):  # the launcher's and the sweeper's
        Composer(sweep.loader, sweep.master)
    [line] = [record.message for record in caplog.records if record.name == composing.__name__]
    assert "hydra-core 1.4.0 and omegaconf 2.3.1" in line
    assert "known for hydra-core 1.3.8 and omegaconf 2.3.1" in line


class Interpreter:
    """One of its own: the module must not have been imported."""

    def script(self, folder: Path, script: Path, *arguments: str, **changes: str) -> Result:
        pipe = subprocess.PIPE
        command = [sys.executable, str(script), *arguments]
        return finish(
            subprocess.Popen(command, cwd=folder, env=environment(**changes), stdout=pipe, stderr=pipe, text=True)
        )


@pytest.mark.soak
def test_the_command_without_the_private_module(tmp_path: Path) -> None:
    folders = tmp_path / "known", tmp_path / "unknown"
    told = []
    for folder in folders:
        folder.mkdir()
        app = App(folder, Interpreter())
        if folder.name == "unknown":
            (folder / "app.py").write_text(f"import sys\nsys.modules['hydra_members.hydra_internals'] = None\n{APP}")
        done = app.run(*VECTORIZED, "n=3,4", "size=small,large")
        [batch] = app.told()
        told.append({key: value for key, value in batch.items() if key not in ("folders", "sweep_dir")})
        assert done.out.count("Jobs are composed one by one") == (folder.name == "unknown")
    assert told[0] == told[1]


def test_one_module_knows_what_is_private() -> None:
    for path in Path(composing.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            private = [name for name in names if "._" in name]
            assert not private or path.name in ("hydra_internals.py", "guard.py"), f"{path.name}: {private}"
