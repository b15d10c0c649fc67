"""The bodies of the reports on models, by the names they have in functions.sql."""

from __future__ import annotations

from wsdb.monitor.compare import attribution_body, compare_body
from wsdb.monitor.curves import calibration_body, confusion_body, pr_body, roc_body
from wsdb.monitor.evaluate import evaluate_body
from wsdb.monitor.explain_predict import explain_body, features_body, slices_body, trials_body, violations_body
from wsdb.monitor.study import study_body

BODIES = {
    "evaluate": evaluate_body(),
    "confusion_matrix": confusion_body(),
    "roc_curve": roc_body(),
    "pr_curve": pr_body(),
    "calibration": calibration_body(),
    "compare": compare_body(),
    "error_attribution": attribution_body(),
    "explain_predict": explain_body(),
    "slices": slices_body(),
    "constraint_violations": violations_body(),
    "feature_info": features_body(),
    "trials": trials_body(),
    "learning_curve": study_body("learning_curve"),
    "task_transfer": study_body("task_transfer"),
}
