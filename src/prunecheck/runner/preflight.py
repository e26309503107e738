"""Everything that can go wrong before the first training, tried in a second: the network, the allocations,
the data, the plug-ins."""

from __future__ import annotations

from prunecheck import data
from prunecheck.data import ImageData
from prunecheck.errors import DataError, InfeasibleError, PluginError, PrunecheckError, StudyError
from prunecheck.pruning.counts import budget_beside
from prunecheck.pruning.layers import Layer, family_of, layers_of, total
from prunecheck.pruning.presets import preset_named
from prunecheck.runner.dry_run import rehearse
from prunecheck.runner.network import sound_network
from prunecheck.study.arms import Entrant, control_arms, entrants
from prunecheck.study.study import Study, located
from prunecheck.text import percent, printable


def preflight(study: Study) -> int:
    """The size of the network in bytes. Raises StudyError (or a kind of it) naming the field, the value and the nearest
    right thing."""
    import torch

    if study.device.startswith("cuda") and not torch.cuda.is_available():
        raise StudyError("device = 'cuda', but torch sees no GPU here. Use device = 'cpu'.")
    if study.recipe.nesterov and study.recipe.momentum == 0:
        raise StudyError("training.nesterov = true needs a momentum above 0. Give training.momentum, such as 0.9.")
    if study.preset is not None:
        preset_named(study.preset)
    model = sound_network(study, data.describe(located(study)))
    size: int = sum(tensor.nbytes for tensor in model.state_dict().values())
    layers = layers_of(model)
    for entrant in _everyone(study):
        for sparsity in study.sparsities:
            _feasible(entrant, layers, sparsity, study)
    images = data.load(located(study))
    _enough_samples(study, images)
    rehearse(study, model, images)
    return size


def _feasible(entrant: Entrant, layers: tuple[Layer, ...], sparsity: float, study: Study) -> None:
    """Raises InfeasibleError where no mask of this sparsity can exist, as far as that is known without scores, and
    PluginError where the user's own allocation fails."""
    where = f"{entrant.label} at {percent(sparsity)} on {study.model}"
    try:
        _allocated(entrant, layers, sparsity, study)
    except InfeasibleError as error:
        raise InfeasibleError(f"{where}: {error}") from None
    except PrunecheckError as error:
        raise PluginError(f"{where}: {error}") from None
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {printable(str(error), 200)}"
        raise PluginError(f"{where}: allocation {entrant.allocation.name!r} failed: {reason}") from error


def _allocated(entrant: Entrant, layers: tuple[Layer, ...], sparsity: float, study: Study) -> None:
    from prunecheck.pruning.select import allocate

    allocation = entrant.allocation
    if allocation.is_known_ahead:
        options, family = entrant.allocate_options, family_of(study.model)
        allocate(allocation, layers, sparsity, family=family, options=options, preset=study.preset)
    elif allocation.pool is not None:
        whole = {layer.name: layer.size for layer in layers if layer.kind not in allocation.pool}
        if len(whole) == len(layers):
            kinds = " and ".join(allocation.pool)
            raise InfeasibleError(
                f'{allocation.name} prunes {kinds} layers only, and there are none. Try allocate = "global".'
            )
        budget_beside(whole, total(layers), sparsity)


def _everyone(study: Study) -> list[Entrant]:
    known = {entrant.label: entrant for entrant in entrants(study)}
    for entrant, _ in control_arms(study):
        known.setdefault(entrant.label, entrant)
    return list(known.values())


def _enough_samples(study: Study, images: ImageData) -> None:
    import numpy as np

    if not any({"batches", "loss"} & set(entrant.method.asks) for entrant in _everyone(study)):
        return
    counts = np.bincount(images.train_targets, minlength=images.num_classes)
    wanted = study.scoring.samples_per_class * study.scoring.batches
    if counts.min() < wanted:
        raise DataError(
            f"scoring needs {wanted} samples of every class; class {int(counts.argmin())} of {study.data.name} has "
            f"{int(counts.min())}. Lower scoring.samples_per_class."
        )
