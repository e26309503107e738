"""The decorators as the plug-ins of this package use them."""

from prunecheck.pruning import decorators
from prunecheck.pruning.registry import built_in

allocation = built_in(decorators.allocation)
check = built_in(decorators.check)
method = built_in(decorators.method)
