"""The intention: a study file becomes a checked :class:`Study`, and a study a plan whose steps name themselves.

Nothing here imports torch, trains or writes.
"""

from prunecheck.study.load import load_study
from prunecheck.study.plan import Arm, Plan, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study

__all__ = ["Arm", "Plan", "Step", "Study", "load_study", "make_plan"]
