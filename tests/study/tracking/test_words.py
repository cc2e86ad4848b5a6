"""Runs in MLflow's words: parameters and metrics."""

from dataclasses import replace

import pytest
from helpers import made_up_result, small_run

from alexnet.recipe.schema import field_docs
from study.questions.asked import Asked
from study.tracking.words import ALL_IF_ZERO, note_of, run_metrics, run_params


def of_claim(claim, **changes):
    """A result with a test error of 35% and a training error of 25%, trained for a claim."""
    result = replace(made_up_result(small_run()), outcome="finished", test_error_ten_views=0.3125, **changes)
    return replace(result, asked=Asked(claim, "smoke", "A-today", "relu"))


@pytest.mark.parametrize(
    ("claim", "name", "value"),
    [
        ("relu_sooner", "epochs_to_target", 5.0),
        ("response_norm", "measured_percent", 31.25),
        ("response_norm_own_rate", "measured_percent", 31.25),
        ("dropout_overfits", "measured_percent", 10.0),
        ("averaged_nets", "measured_percent", 31.25),
        ("ten_views", "measured_points", -3.75),
    ],
)
def test_a_run_has_the_number_that_its_claim_compares_as_a_metric(claim, name, value):
    metrics = {metric.key: metric.value for metric in run_metrics(of_claim(claim))}
    assert metrics[name] == pytest.approx(value)
    assert f"`{name}`" in note_of(claim, "smoke", "1")


@pytest.mark.parametrize("claim", ["column_colour", "nearest_images", "train", "gone"])
def test_a_number_that_is_read_from_weights_or_belongs_to_no_claim_is_left_out(claim):
    names = {metric.key for metric in run_metrics(of_claim(claim))}
    assert names.isdisjoint({"epochs_to_target", "measured_percent", "measured_points"})


def test_a_run_that_did_not_arrive_has_no_time():
    result = made_up_result(small_run(), crossing=None)
    assert "epochs_to_target" not in {metric.key for metric in run_metrics(result)}


def test_where_0_stands_for_all_the_parameter_says_all():
    assert set(ALL_IF_ZERO) == {name for name, text in field_docs().items() if "0: all" in text}
    assert run_params(made_up_result(small_run(data__train_images=0)))["data.train_images"] == "all"
    assert run_params(made_up_result(small_run()))["data.train_images"] == "512"
