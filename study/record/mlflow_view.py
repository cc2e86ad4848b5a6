"""Which columns a list of runs shows in the MLflow UI."""

import json

VIEW = "study"
"""Name of the view that each experiment carries: `#/experiments/ID/runs?viewStateShareKey=study` opens on these columns."""
SHOWN = (
    "tags.`study.arm`",
    "tags.`study.seed`",
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
