"""The two layers of a language model that have one row for each token: its embedding and its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from prunecheck.models.language import LanguageModel

EMBEDDING, HEAD = "embedding", "head"


def vocabulary_layer(model: LanguageModel, which: str) -> tuple[str, nn.Module]:
    """(name in the model, module) of the ``embedding`` or ``head``.

    Models of transformers say which they are. In others the embedding is the one ``nn.Embedding`` outside the decoder
    blocks with a row for each token, and the head the one ``nn.Linear`` with an output for each. Raises ModelError
    where that is none or several.
    """
    from torch import nn

    inside = {id(one) for _, block in model.blocks for one in block.modules()}
    outside = {name: one for name, one in model.module.named_modules() if id(one) not in inside}
    say = getattr(model.module, "get_input_embeddings" if which == EMBEDDING else "get_output_embeddings", None)
    if say is not None:
        answer = say()
        found = [(name, one) for name, one in outside.items() if one is answer]
    elif which == EMBEDDING:
        embeddings = {name: one for name, one in outside.items() if isinstance(one, nn.Embedding)}
        found = [(name, one) for name, one in embeddings.items() if one.num_embeddings == model.vocabulary]
    else:
        linears = {name: one for name, one in outside.items() if isinstance(one, nn.Linear)}
        found = [(name, one) for name, one in linears.items() if one.out_features == model.vocabulary]
    kind = nn.Embedding if which == EMBEDDING else nn.Linear
    if len(found) != 1 or not isinstance(found[0][1], kind):
        several = f"several that could be it: {', '.join(name for name, _ in found)}" if found else "none"
        raise ModelError(
            f"also_prune = [{which!r}]: the {which} is sought as one nn.{kind.__name__} outside the decoder blocks "
            f"with {model.vocabulary} rows, and {type(model.module).__name__} has {several}."
        )
    return found[0]


def chosen_vocabulary_layers(
    model: LanguageModel, also_prune: tuple[str, ...]
) -> tuple[tuple[str, nn.Module] | None, tuple[str, nn.Module] | None]:
    """(embedding, head) to prune, None for what is not. Raises ModelError.

    Where both are one tensor, both have to be chosen, since neither can be pruned alone; it is pruned once, as the
    head.
    """
    embedding, head = (vocabulary_layer(model, one) if one in also_prune else None for one in (EMBEDDING, HEAD))
    if embedding and head:
        return (None, head) if _is_tied(embedding, head) else (embedding, head)
    if embedding or head:
        missing = HEAD if embedding else EMBEDDING
        try:
            other = vocabulary_layer(model, missing)
        except ModelError:
            return embedding, head
        if _is_tied((embedding or head), other):  # type: ignore[arg-type]
            raise ModelError(
                "also_prune: embedding and head of this model are one tensor, so that neither can be pruned alone. "
                f'Write also_prune = ["{EMBEDDING}", "{HEAD}"].'
            )
    return embedding, head


def _is_tied(one: tuple[str, nn.Module], other: tuple[str, nn.Module]) -> bool:
    return one[1].weight is other[1].weight
