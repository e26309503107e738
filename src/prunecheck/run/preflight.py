"""Everything that can go wrong before the first training, tried in a second: the model, the allocations, the data."""

from __future__ import annotations

from prunecheck import data
from prunecheck.core.counts import budget_beside
from prunecheck.core.errors import DataError, InfeasibleError, ModelError, StudyError
from prunecheck.core.layers import Layer, family_of, layers_of, total
from prunecheck.core.presets import preset_named
from prunecheck.core.seeds import torch_stream
from prunecheck.core.words import percent, printable
from prunecheck.study.entrants import Entrant, control_arms, entrants
from prunecheck.study.study import Study, located


def preflight(study: Study) -> int:
    """The size of the network in bytes. Raises StudyError (or a kind of it) naming the field, the value and the nearest
    right thing."""
    import torch

    from prunecheck.stages.context import build

    if study.device.startswith("cuda") and not torch.cuda.is_available():
        raise StudyError("device = 'cuda', but torch sees no GPU here. Use device = 'cpu'.")
    shape = data.describe(located(study))
    size = study.data.size or shape.size
    with torch_stream(0, "preflight"):
        model = build(study.model, (shape.num_classes, shape.channels, size))
        model.train()
        try:
            outputs = model(torch.randn(2, shape.channels, size, size))
        except Exception as error:
            raise ModelError(
                f"model = {study.model!r} cannot take {shape.channels} x {size} x {size} images of {study.data.name}: "
                f"{printable(str(error), 160)}"
            ) from None
    if not isinstance(outputs, torch.Tensor) or tuple(outputs.shape) != (2, shape.num_classes):
        found = tuple(outputs.shape) if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise ModelError(
            f"model = {study.model!r} gives {found} for 2 images; "
            f"{study.data.name} has {shape.num_classes} classes, so it must give (2, {shape.num_classes})."
        )
    layers = layers_of(model)
    for entrant in _everyone(study):
        for sparsity in study.sparsities:
            try:
                _feasible(entrant, layers, sparsity, study)
            except InfeasibleError as error:
                raise InfeasibleError(f"{entrant.label} at {percent(sparsity)} on {study.model}: {error}") from None
    if study.preset is not None:
        preset_named(study.preset)
    _enough_samples(study, shape.num_classes)
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def _feasible(entrant: Entrant, layers: tuple[Layer, ...], sparsity: float, study: Study) -> None:
    """Raises InfeasibleError where no mask of this sparsity can exist, as far as that is known without scores."""
    from prunecheck.stages.select import allocate

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


def _enough_samples(study: Study, classes: int) -> None:
    import numpy as np

    if not any({"batches", "loss"} & set(entrant.method.asks) for entrant in _everyone(study)):
        return
    counts = np.bincount(data.load(located(study)).train_targets, minlength=classes)
    wanted = study.scoring.samples_per_class * study.scoring.batches
    if counts.min() < wanted:
        raise DataError(
            f"scoring needs {wanted} samples of every class; class {int(counts.argmin())} of {study.data.name} has "
            f"{int(counts.min())}. Lower scoring.samples_per_class."
        )
