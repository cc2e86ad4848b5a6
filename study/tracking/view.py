"""The view of runs in the MLflow UI: grouped by arm, with chosen columns."""

import json
from collections.abc import Iterable

VIEW = "study"
"""The name of the view that each experiment has."""
SHARED = f"mlflow.sharedViewState.{VIEW}"
"""The tag of an experiment that holds the view."""
BY = ("arm", "base")
"""Parameters by which runs are grouped."""
COLUMNS = {  # and their widths in pixels; arm and seed are in a run's name
    "metrics.`test_error_ten_views`": 150,
    "metrics.`test_error`": 100,
    "metrics.`train_error`": 100,
    "tags.`study.verdict`": 330,
    "tags.`study.outcome`": 120,
}
NAME_COLUMN = {"attributes.`Run Name`": 390}
"""Wide enough for a group's label, such as "Group: arm: none-signal-kept, base: ALEXNET_32"."""
MEASURED_WIDTH = 140
MOST_CHARACTERS = 15_000
"""Of a view, for MLflow's limit of 20,000."""


def view_state(measured: str = "", groups: Iterable[tuple[str, str]] = ()) -> str:
    """Return the view as MLflow stores it. `measured`: name of the metric that a claim compares; its column is the first.
    `groups`: the arms and bases that may occur. They are folded, so that the means over seeds are one below the other."""
    widths = {**NAME_COLUMN, **({f"metrics.`{measured}`": MEASURED_WIDTH} if measured else {}), **COLUMNS}
    folded = {",".join(f"param.{by}.{value}" for by, value in zip(BY, group, strict=True)): False for group in groups}
    return json.dumps(
        {
            "orderByKey": "tags.`study.arm`",
            "orderByAsc": True,
            "groupBy": {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": by} for by in BY]},
            "groupsExpanded": folded if len(json.dumps(folded)) < MOST_CHARACTERS else {},
            "searchFilter": "",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": list(widths)[1:],
            "columnOrder": list(widths),
            "columnWidths": widths,
            "runsExpanded": {},
            "runsPinned": [],
            "runsHidden": [],
            "viewMaximized": False,
            "runListHidden": False,
        }
    )


def address_of(experiment: str) -> str:
    """Return the address at which the UI shows an experiment's runs in this view. Without `workflowType` MLflow would open its
    pages for language models."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
