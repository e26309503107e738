"""Studies: a study file becomes a validated :class:`Study`, and a study becomes a plan of steps with content keys.

Nothing here imports torch, trains or writes.
"""

from prunecheck.study.load import load_study
from prunecheck.study.plan import Arm, Plan
from prunecheck.study.step import Step
from prunecheck.study.study import Study
from prunecheck.study.tasks import AnyStudy, largest_seeds, make_plan

__all__ = ["AnyStudy", "Arm", "Plan", "Step", "Study", "largest_seeds", "load_study", "make_plan"]
