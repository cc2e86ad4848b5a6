"""The view of runs in the MLflow UI: grouped by arm, with chosen columns."""

import json

VIEW = "study"
"""The name of the view that each experiment has."""
SHARED = f"mlflow.sharedViewState.{VIEW}"
"""The tag of an experiment that holds the view."""
GROUPED = [{"mode": "param", "groupByData": name} for name in ("arm", "base")]
SHOWN = (  # arm and seed are in a run's name
    "tags.`study.verdict`",
    "tags.`study.outcome`",
)
ERRORS_SHOWN = (
    "metrics.`test_error_ten_views`",
    "metrics.`test_error`",
    "metrics.`train_error`",
)


def view_state(measured: str = "") -> str:
    """Return the view as MLflow stores it. `measured`: name of the metric that a claim compares; its column is the first of the
    metrics."""
    own = [f"metrics.`{measured}`"] if measured else []
    return json.dumps(
        {
            "orderByKey": "tags.`study.arm`",
            "orderByAsc": True,
            "groupBy": {"aggregateFunction": "average", "groupByKeys": GROUPED},
            "searchFilter": "",
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": [*SHOWN, *own, *ERRORS_SHOWN],
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
