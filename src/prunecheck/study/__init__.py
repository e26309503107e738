"""Studies: a study file becomes a validated :class:`Study`, and a study becomes a plan of steps with content keys.

Nothing here imports torch, trains or writes.
"""

from prunecheck.study.load import load_study
from prunecheck.study.plan import Arm, Plan, make_plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study

__all__ = ["Arm", "Plan", "Step", "Study", "load_study", "make_plan"]
