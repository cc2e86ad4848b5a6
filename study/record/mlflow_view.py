"""How a list of runs is shown in the MLflow UI: grouped by arm, with which columns."""

import json

VIEW = "study"
"""Name of the view that each experiment carries."""
SHARED = f"mlflow.sharedViewState.{VIEW}"
"""The tag of an experiment that has the view."""
GROUPED = [{"mode": "param", "groupByData": name} for name in ("arm", "base")]
SHOWN = (  # arm and seed are in a run's name
    "tags.`study.verdict`",
    "tags.`study.outcome`",
    "metrics.`test_error_ten_views`",
    "metrics.`test_error`",
    "metrics.`train_error`",
)
VIEW_STATE = json.dumps(
    {
        "orderByKey": "tags.`study.arm`",
        "orderByAsc": True,
        "groupBy": {"aggregateFunction": "average", "groupByKeys": GROUPED},
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(SHOWN),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "viewMaximized": False,
        "runListHidden": False,
    }
)


def address_of(experiment: str) -> str:
    """Where the UI shows the runs of an experiment so. Without `workflowType` MLflow opens on its pages for language models."""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"
