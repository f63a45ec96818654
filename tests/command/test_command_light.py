"""What asks only for words answers at once: nothing heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from command_line import environment

CONF = Path(__file__).parents[2] / "conf"
CODE = """
import sys
from noiseworks.cli import main
try:
    main()
finally:
    print("\\nIMPORTED", *sorted({name.split(".")[0] for name in sys.modules}))
"""
HEAVY = {
    "torch",
    "pytorch_lightning",
    "lightning_fabric",
    "mlflow",
    "pandas",
    "scipy",
    "matplotlib",
    "numpy",
    "pyarrow",
}


def ask(folder: Path, *arguments: str) -> tuple[str, set[str]]:
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    said, _, imported = done.stdout.rpartition("\nIMPORTED")
    return said + done.stderr, set(imported.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--cfg", "job"], ["noise=laplac"], ["optimizer.lrr=1"]])
@pytest.mark.soak
def test_nothing_heavy_is_imported(tmp_path, arguments):
    said, imported = ask(tmp_path, *arguments)
    assert said
    assert "hydra" in imported
    assert not HEAVY & imported
    assert not list(tmp_path.iterdir())


def test_help_lists_every_option_and_examples(tmp_path):
    said, imported = ask(tmp_path, "--help")
    assert "hydra" in imported
    assert not HEAVY & imported
    for group in (path for path in CONF.iterdir() if path.is_dir()):
        options = sorted(path.stem for path in group.glob("*.yaml"))
        if options:
            assert f"{group.name}: {', '.join(options)}\n" in said
    for example in ("noiseworks noise=laplace", "noiseworks data=table data.path=", "noiseworks -m ", "--hydra-help"):
        assert example in said
