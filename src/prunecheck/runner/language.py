"""What the runner needs of a study of a language model: checks before the start, rows, verdict and report."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prunecheck.data.documents import Document, sample
from prunecheck.errors import DataError, ModelError
from prunecheck.models.language import HF, described
from prunecheck.pruning.post_training_plugins import PostTrainingCheck, PostTrainingMethod
from prunecheck.reporting.language import LanguageReport
from prunecheck.runner.interim_analyses import Executor, InterimAnalysis, unfinished_steps
from prunecheck.runner.records import read_verification
from prunecheck.runner.report_data import Row, overlaps, present
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics import Settings, StudyVerdict
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study.language_arms import AA, POSITIVE, control_corruptions, corruptions, prunings
from prunecheck.study.language_plan import documents, files_of, make_plan
from prunecheck.study.language_study import LanguageStudy
from prunecheck.study.language_validate import MAGNITUDE
from prunecheck.study.numerics import numerics
from prunecheck.study.plan import Arm, Plan
from prunecheck.study.step import canonical
from prunecheck.study.toml import language_toml
from prunecheck.text import counted

OPERATIONS_PER_SECOND = 25e9
"""of a language model on a CPU, before one was timed"""

MOST_OF_TEXT = 0.5
"""share of the calibration text from which on two draws have much in common"""


def before(study: LanguageStudy) -> int:
    """The bytes of the model. Raises StudyError (or a kind of it) where a step would fail: a model that cannot be
    loaded or pruned, too little text, sequences that are too long, a GPU that is not there."""
    import torch

    from prunecheck.steps.documents import tokens_of, too_little_text
    from prunecheck.steps.language_check import check_model

    if study.device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("device = 'cuda', but torch sees no GPU here. Use device = 'cpu'.")
    model, size = check_model(study)
    data = study.data
    longest = max(data.length, data.window or data.length)
    if model.context is not None and longest > model.context:
        field = "data.length" if data.length > model.context else "data.window"
        raise ModelError(f"{field} = {longest}, but the model reads at most {model.context} tokens.")
    if any(method.reads_text for method in prunings(study)):
        tokens = sum(map(len, tokens_of(model, documents(study, data.calibration))))
        if tokens < data.sequences * data.length:
            raise DataError(too_little_text(tokens, data.sequences, data.length))
    for one in evaluated(study):
        if len(model.encode(one.text)) < 2:
            raise DataError(f"data.evaluation: document {one.name!r} has fewer than two tokens. Take it out.")
    return size


def evaluated(study: LanguageStudy) -> tuple[Document, ...]:
    """The evaluated documents, in the order of every list of likelihoods."""
    return sample(documents(study, study.data.evaluation), study.data.documents)


def remarks(_study: LanguageStudy) -> list[str]:
    return []


def notes(_study: LanguageStudy, of_verdict: Iterable[str]) -> list[str]:
    return list(of_verdict)


def worker_fields(study: LanguageStudy) -> dict[str, Any]:
    return {"language": files_of(study)}


def plugins(study: LanguageStudy) -> Iterator[PostTrainingMethod | PostTrainingCheck]:
    yield from (method.plugin for method in prunings(study))
    for check in [*corruptions(study), *control_corruptions(study)]:
        if check.plugin is not None:
            yield check.plugin


def analyses(
    study: LanguageStudy, workspace: Workspace, results: StepResults, executor: Executor, *, write_margin: bool = True
) -> Iterator[InterimAnalysis]:
    """The one analysis of a study whose draws are chosen beforehand. Its margin is a share that the study file fixes,
    so that none has to be recorded."""
    del write_margin
    plan = make_plan(study)
    with executor.phase(plan):
        outcome = executor.make(plan.targets)
    arms = present(plan, workspace.store)
    found = [_row(arm, results) for arm in arms]
    settings = Settings(max_seeds=max(len(study.draws), 3))
    yield InterimAnalysis(plan, settings, found, _judge(study, arms, results), len(arms) == len(plan.arms), outcome)


def _row(arm: Arm, results: StepResults) -> Row:
    measured = results.pruned(arm.train) if arm.method != DENSE else results.likelihood(arm.train)
    every = measured["documents"]
    tokens = sum(scored for _, _, scored, *_ in every)
    nats = sum(nats for _, nats, *_ in every)
    sizes = [size for *_, size, _ in every]
    row: Row = {
        "method": arm.method,
        "check": arm.check,
        "sparsity": arm.sparsity,
        "seed": arm.seed,
        "nll": _mean(measured),
        "perplexity": _exp(nats / tokens),
        "bits_per_byte": None if None in sizes else nats / math.log(2) / sum(sizes),
        "documents": len(every),
        "tokens": tokens,
    }
    if arm.method != DENSE:
        row |= {name: measured[name] for name in ("kept", "weights", "tied")}
        row["empty_layers"] = len(measured["empty_layers"])
    if arm.compare:
        row["overlap"] = results.overlap(arm.compare)["iou"]
    return row | {"key": arm.train[:16]}


def _exp(nats: float) -> float | None:
    return math.exp(nats) if nats < 700 else None


def _nll(measured: Mapping[str, Any]) -> tuple[float, ...]:
    """Nats per token of every document."""
    return tuple(nats / tokens for _, nats, tokens, *_ in measured["documents"])


def _mean(measured: Mapping[str, Any]) -> float:
    per_token = _nll(measured)
    return sum(per_token) / len(per_token)


def _judge(study: LanguageStudy, arms: Iterable[Arm], results: StepResults) -> StudyVerdict | None:
    """None where nothing can be judged yet: without the dense model, without a corrupted arm, or without the arms that
    the margin comes from."""
    arms = list(arms)
    dense = next((arm for arm in arms if arm.method == DENSE), None)
    if dense is None or not any(arm.check != CLEAN for arm in arms):
        return None
    from prunecheck.statistics.language import DenseModel, LanguageArms, judge_language

    measured = results.likelihood(dense.train)
    names = tuple(name for name, *_ in measured["documents"])
    tokens = tuple(scored for _, _, scored, *_ in measured["documents"])
    unigram = sum(nats / n for nats, n in zip(measured["unigram"], tokens, strict=True)) / len(tokens)
    model = DenseModel(_nll(measured), unigram, tokens)
    nll: dict[tuple[str, str, float], dict[int, tuple[float, ...]]] = {}
    for arm in arms:
        if arm.sparsity is not None:
            nll.setdefault((arm.method, arm.check, arm.sparsity), {})[arm.seed] = _nll(results.pruned(arm.train))
    margins, rule = _margins(study, nll, model.mean)
    if not margins:
        return None
    there = {method for method, check, sparsity in nll if check == CLEAN and sparsity in margins}
    asked = {check.label for check in corruptions(study)}
    controls = frozenset(check.label for check in control_corruptions(study)) - asked
    pairs = [pair for pair in _compared(study) if there.issuperset(pair)]
    judged = LanguageArms(model, nll, margins, rule, POSITIVE, AA, controls, tuple(pairs), names)
    return judge_language(study.name, judged)


def _compared(study: LanguageStudy) -> list[tuple[str, str]]:
    """The study's pairs, else every other method with magnitude pruning, where that takes part."""
    if study.compare is not None:
        return list(study.compare)
    labels = [method.label for method in prunings(study)]
    base = _magnitude(study)
    return [(label, base) for label in labels if label != base] if base is not None else []


def _magnitude(study: LanguageStudy) -> str | None:
    """The label of plain magnitude pruning."""
    found = [method for method in prunings(study) if method.plugin.name == MAGNITUDE]
    plain = [method for method in found if method.ratios == "uniform"]
    return (plain or found)[0].label if found else None


def _margins(
    study: LanguageStudy, nll: Mapping[tuple[str, str, float], Mapping[int, tuple[float, ...]]], dense: float
) -> tuple[dict[float, float], str]:
    """Sparsity -> margin in nats per token, and the sentence that says where they come from."""
    share = study.share_of_loss
    if share is None:
        margin = float(study.margin)
        return dict.fromkeys(study.sparsities, margin), f"{margin:g} nats per token, chosen in the study file."
    from prunecheck.statistics.language import share_of_loss

    return share_of_loss(share, _magnitude(study) or MAGNITUDE, nll, dense)


def report_data(
    study: LanguageStudy,
    workspace: Workspace,
    analysis: InterimAnalysis,
    verdict: StudyVerdict,
    results: StepResults,
    command: str,
) -> LanguageReport:
    plan, arms = analysis.plan, present(analysis.plan, workspace.store)
    return LanguageReport(
        name=study.name,
        rows=analysis.rows,
        documents=_document_rows(arms, results),
        verdict=verdict,  # type: ignore[arg-type]
        question=study.question,
        pruned=in_words(study),
        check_words={
            check.label: check.plugin.summary
            for check in [*corruptions(study), *control_corruptions(study)]
            if check.plugin is not None
        },
        study_toml=language_toml(study),
        overlaps=overlaps(arms, results),
        provenance=_provenance(study, plan) | read_verification(workspace.folder, plan.steps),
        command=command,
        remarks=tuple(_remarks(study, arms, results)),
        unfinished=unfinished_steps(plan, workspace).sentence,
        prunings=sum(step.kind == "prune" for step in plan.steps.values()),
    )


def _document_rows(arms: Iterable[Arm], results: StepResults) -> list[Row]:
    """One row for each document and network."""
    found = []
    for arm in arms:
        measured = results.pruned(arm.train) if arm.method != DENSE else results.likelihood(arm.train)
        place = {"method": arm.method, "check": arm.check, "sparsity": arm.sparsity, "seed": arm.seed}
        found += [
            {**place, "document": name, "nll": nats / tokens, "tokens": tokens}
            for name, nats, tokens, *_ in measured["documents"]
        ]
    return found


def _remarks(study: LanguageStudy, arms: Iterable[Arm], results: StepResults) -> Iterator[str]:
    clean = [arm for arm in arms if arm.sparsity is not None and arm.check == CLEAN]
    shares = [share for arm in clean if (share := results.pruned(arm.train).get("share_of_text")) is not None]
    if shares and max(shares) > MOST_OF_TEXT:
        yield (
            f"One draw takes {max(shares):.0%} of the calibration text, so that draws have much in common: the noise "
            "between draws is smaller here than between draws from more text."
        )
    tied = {arm.method: results.pruned(arm.train)["tied"] for arm in clean}
    for method, n in tied.items():
        if n:
            yield f"{method}: {n:,} weights were kept or removed by position, since others had the same score."
    if rest := next((found for arm in clean if (found := results.pruned(arm.train).get("left_dense"))), None):
        yield (
            f"Not pruned: {counted(rest['tensors'], 'tensor')} of the decoder blocks outside linear layers, "
            f"{rest['weights'] / rest['total']:.0%} of their weights, such as {rest['largest']}. "
            "Sparsities are those of the rest."
        )
    if study.data.tokens is not None:
        yield f"Of each document the first {study.data.tokens:,} tokens were scored."


def rough_seconds(study: LanguageStudy) -> dict[str, float]:
    """Kind of step -> about its seconds on one process, from the size of the model and the number of tokens; empty
    where the size is not known."""
    weights = study.model_choice.bytes / (4 if study.precision == "float32" else 2)
    if not weights:
        return {}
    # a token has at least one byte, and in natural language about four
    bytes_per_token = 4 if study.model.startswith(HF) else 1
    scored = [len(one.text.encode()) // bytes_per_token for one in evaluated(study)]
    evaluation = sum(min(tokens, study.data.tokens or tokens) for tokens in scored)
    second = OPERATIONS_PER_SECOND / (2 * weights)  # tokens that pass the model in a second
    calibration = 2 * study.data.sequences * study.data.length  # every block runs before and after it is pruned
    return {"prune": 0.5 + (calibration + evaluation) / second, "likelihood": 0.5 + evaluation / second}


def in_words(study: LanguageStudy) -> str:
    """``SmolLM2-135M, LlamaForCausalLM; 128 calibration sequences of 2048 tokens; 24 documents``."""
    data = study.data
    calibration = f"{counted(data.sequences, 'calibration sequence')} of {data.length} tokens"
    model = described(study.model_choice)
    if study.also_prune:
        model += f" with {' and '.join(sorted(set(study.also_prune)))}"
    return f"{model}; {calibration}; {counted(len(evaluated(study)), 'evaluation document')}"


def _provenance(study: LanguageStudy, plan: Plan) -> dict[str, str]:
    machine, some = numerics(), next(iter(plan.steps.values())).params
    identity = some["model"]
    libraries = ", ".join(f"{name} {number}" for name, number in identity.get("libraries", {}).items())
    return {
        "prunecheck": version("prunecheck"),
        "torch": str(machine["torch"]),
        **({"libraries": libraries} if libraries else {}),
        "machine": f"{machine['machine']} {machine['cpu']} {machine['maker']}, {study.device}, {study.precision}",
        "model": str(identity.get("files") or identity.get("model_code"))[:16],
        "evaluation text": str(some["evaluation"]["fingerprint"])[:16],
        "plan": hashlib.sha256(canonical(sorted(plan.steps)).encode()).hexdigest()[:16],
    }
