"""tools/mlflow_picture.py: the MLflow UI in headless Chromium, where it is installed (CI installs it)."""

import shutil

import pytest
from helpers import made_up_result, small_run

from study.tracking.store import Store
from tools.mlflow_picture import main

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")]


def test_the_picture_is_of_a_claim_that_has_runs(laid_out, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{laid_out / 'mlflow.db'}")
    Store().record([made_up_result(small_run())], laid_out)
    picture = laid_out / "mlflow.png"
    assert main([str(picture), "relu_sooner"]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main([str(picture), "relu"]) == 2  # the beginning of a name is not the name
    assert "no runs of 'relu'" in capsys.readouterr().err
