"""Every test has a home of its own; the embedded model is fetched once for all."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from palaver.model import ModelInfo


@pytest.fixture(autouse=True)
def palaver_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that stands for all of the user's: history, models, settings, logs."""
    home = tmp_path_factory.mktemp("palaver-home")
    monkeypatch.setenv("PALAVER_HOME", str(home))
    monkeypatch.setenv("PALAVER_NO_DAEMON", "1")  # an engine would outlive its test by ten minutes
    for moved in ("PALAVER_HISTORY", "PALAVER_CONFIG", "PALAVER_STATE", "PALAVER_MODELS_FROM"):
        monkeypatch.delenv(moved, raising=False)
    return home


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """The folder with the weights of `smollm2`, kept between runs: $PALAVER_TEST_MODELS, else the temporary folder."""
    from palaver.pull import pull
    from palaver_llamacpp.catalogue import SMOLLM2

    kept = Path(os.environ.get("PALAVER_TEST_MODELS") or Path(tempfile.gettempdir()) / "palaver-test-models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PALAVER_HOME", str(kept))
        return pull(SMOLLM2, on_progress=lambda progress: None, cancel=threading.Event()).parent


@pytest.fixture
def smollm2(smollm2_folder: Path, palaver_home: Path, monkeypatch: pytest.MonkeyPatch) -> ModelInfo:
    """SmolLM2, real, as if this test's user had pulled it."""
    from palaver_llamacpp.catalogue import SMOLLM2, located

    monkeypatch.setenv("PALAVER_THREADS", "1")  # spinning threads that share a core are slower than one
    models = palaver_home / "models"
    models.mkdir()
    (models / SMOLLM2.name).symlink_to(smollm2_folder, target_is_directory=True)
    return located(SMOLLM2)
