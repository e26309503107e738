"""A study made by hand: the picture of the paper at a small scale, and helpers to bend it."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

from prunecheck.reporting.data import REFERENCES, Curve, LayerTable, MaskOverlap, ReportData
from prunecheck.resources import PublishedNumber
from prunecheck.statistics.outcome import Cell, CheckVerdict, Control, MethodVerdict, StudyVerdict

MARGIN = 0.84
SPARSITIES = (0.9, 0.95, 0.98)
SEEDS = (0, 1, 2, 3, 4)
CHECKS = ("random_labels", "random_pixels", "half_dataset", "layerwise_rearrange", "layerwise_weight_shuffle")
ACCURACY = {"random_ticket": 91.5, "snip": 92.0, "grasp": 91.8, "magnitude": 91.9, "lr_rewinding": 93.6}
DROPS = {
    "random_ticket": (0.0, 0.0, 0.0, 0.02, 0.1),
    "snip": (0.05, -0.1, 0.0, 0.1, 0.2),
    "grasp": (0.1, 0.2, -0.05, 0.15, 0.9),
    "magnitude": (0.3, 0.4, 0.1, 0.2, 0.05),
    "lr_rewinding": (4.1, 6.2, 1.9, 3.4, 3.0),
}
STUDY = """model = "resnet32"
data = "cifar10"
methods = ["snip", "grasp", "magnitude", "lr_rewinding", "random_ticket"]
sparsities = [0.90, 0.95, 0.98]
seeds = 5
"""
LAYERS = tuple(f"layer{i // 4}.{i % 4}.conv.weight" for i in range(16))
WORDS = {"DEPENDS": "passes", "DOES NOT DEPEND": "fails", "INCONCLUSIVE": "stays open", "UNINFORMATIVE": "says nothing"}


def cell(sparsity: float, differences: dict[str, float], where: str = "") -> Cell:
    """A cell whose numbers follow from its differences by a plain t interval at four degrees of freedom."""
    values = list(differences.values())
    n = len(values)
    mean = sum(values) / n
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    half = 2.13 * sd / math.sqrt(n)
    low, high = mean - half, mean + half
    verdict: Any = "DEPENDS" if low > MARGIN else "DOES NOT DEPEND" if high < MARGIN else "INCONCLUSIVE"
    return Cell(
        sparsity=sparsity,
        verdict=verdict,
        n=n,
        mean_drop=mean,
        low=low,
        high=high,
        margin=MARGIN,
        p_depends=0.0004 if verdict == "DEPENDS" else 0.61,
        p_not=0.003 if verdict == "DOES NOT DEPEND" else 0.97,
        sd=sd,
        borrowed_sd=0.9 * sd,
        d0=4.0,
        floor_sd=0.19,
        break_even=high if verdict == "DOES NOT DEPEND" else low,
        seeds_needed=14 if verdict == "INCONCLUSIVE" else None,
        win_share=sum(v > 0 for v in values) / n,
        differences=differences,
        sentence=f"{where}drop {mean:+.2f} [{low:+.2f}, {high:+.2f}]: {verdict}.",
    )


def check(method: str, name: str, drop: float, rng: random.Random) -> CheckVerdict:
    cells = []
    for depth, sparsity in enumerate(SPARSITIES):
        noise = 0.25 * (1 + depth)
        differences = {str(s): round(drop * (0.6 + 0.4 * depth) + rng.gauss(0, noise), 2) for s in SEEDS}
        cells.append(cell(sparsity, differences, f"{100 * sparsity:g}%: "))
    pooled = cell(float("nan"), {s: sum(c.differences[s] for c in cells) / 3 for s in map(str, SEEDS)}, "mean ")
    role = "positive" if method == "lr_rewinding" else None
    if (method, name) == ("random_ticket", "layerwise_rearrange"):
        role = "aa"
    sentence = (
        f"{method} x {name}: {pooled.verdict} ({WORDS[pooled.verdict]}). Mean drop {pooled.mean_drop:+.2f} points over "
        f"90/95/98%, 90% CI [{pooled.low:+.2f}, {pooled.high:+.2f}], margin {MARGIN}, 5 seeds."
    )
    return CheckVerdict(method, name, pooled.verdict, sentence, tuple(cells), pooled, False, False, role)


def verdict() -> StudyVerdict:
    rng = random.Random(7)
    checks = tuple(check(m, c, d, rng) for m, drops in DROPS.items() for c, d in zip(CHECKS, drops, strict=True))
    methods = []
    for method in DROPS:
        mine = [c for c in checks if c.method == method]
        failed = tuple(c.check for c in mine if c.verdict == "DOES NOT DEPEND")
        if failed:
            sentence = (
                f"Nothing is lost under {len(failed)} of {len(mine)} checks ({', '.join(failed)}): use a random ticket."
            )
            methods.append(MethodVerdict(method, "FAILS", sentence, failed))
        else:
            answer: Any = "PASSES" if all(c.verdict == "DEPENDS" for c in mine) else "INCONCLUSIVE"
            sentence = f"It depends on what {sum(c.verdict == 'DEPENDS' for c in mine)} of {len(mine)} checks destroy."
            methods.append(MethodVerdict(method, answer, sentence))
    controls = (
        Control(
            "positive",
            "lr_rewinding",
            "random_labels",
            0.98,
            "ok",
            "LR rewinding loses 4.1 points and depends: the study can see an effect.",
        ),
        Control(
            "aa",
            "random_ticket",
            "layerwise_rearrange",
            None,
            "ok",
            "A random ticket against its own rearrangement: +0.02 points, no difference.",
        ),
        Control(
            "identity",
            "snip",
            "identity",
            None,
            "weak",
            "The same arm twice is bit-equal at 2 of 3 sparsities that were tried.",
        ),
        Control(
            "planted",
            "lr_rewinding",
            "planted",
            0.9,
            "missing",
            "No planted effect was run: the smallest visible drop is unknown.",
        ),
    )
    return StudyVerdict(
        "cifar10-resnet32", MARGIN, "1% of the way from chance to the dense accuracy", 0.05, (3, 5), 0.941, 10_000,
        tuple(methods), checks, controls, None,
    )  # fmt: skip


def rows(judged: StudyVerdict, seeds: tuple[int, ...] = SEEDS) -> tuple[dict[str, Any], ...]:
    """Rows whose paired differences are the verdict's."""
    rng = random.Random(3)
    made = []
    for method, top in ACCURACY.items():
        mine = [c for c in judged.checks if c.method == method]
        for depth, sparsity in enumerate(SPARSITIES):
            for seed in seeds:
                accuracy = (top - 1.9 * depth**1.5 + rng.gauss(0, 0.2)) / 100
                made.append(row(method, "clean", sparsity, seed, accuracy))
                for one in mine:
                    lost = one.cells[depth].differences[str(seed % 5)] / 100
                    made.append(row(method, one.check, sparsity, seed, accuracy - lost))
    return tuple(made)


def row(method: str, name: str, sparsity: float, seed: int, accuracy: float) -> dict[str, Any]:
    return {
        "method": method, "check": name, "sparsity": sparsity, "seed": seed, "accuracy": round(accuracy, 4),
        "best_accuracy": round(accuracy + 0.002, 4), "n_test": 10_000, "kept": round((1 - sparsity) * 1_855_584),
        "weights": 1_855_584, "effective_sparsity": round(sparsity + 0.001, 5), "collapsed": False,
        "dead_layers": [], "diverged": False, "epochs": 160, "train_accuracy": 0.991, "key": f"{seed:04x}{sparsity:g}",
    }  # fmt: skip


def layers() -> tuple[LayerTable, ...]:
    weights = tuple(432 * 4 ** min(3, i // 4) + 100 * i for i in range(len(LAYERS)))
    shapes = {
        "smart_ratio": lambda i: (16 - i) ** 2 + (16 - i),
        "erk": lambda i: 120 / (1 + i % 4) / (1 + i // 4) ** 1.5,
        "snip": lambda i: 200 / (1 + i) ** 0.9,
        "grasp": lambda i: 150 / (1 + i) ** 0.6 + 6 * (i % 3),
        "magnitude": lambda i: 120 - 6.4 * i,
        "lr_rewinding": lambda i: 110 - 5 * i + 9 * (i % 2),
        "random_ticket": lambda i: (16 - i) ** 2 + (17 - i),
    }
    tables = []
    for sparsity in SPARSITIES:
        for method, shape in shapes.items():
            kept = tuple(min(w, round(w * (1 - sparsity) * shape(i) / 60)) for i, w in enumerate(weights))
            tables.append(LayerTable(method, "clean", sparsity, LAYERS, weights, kept))
    return tuple(tables)


def curves() -> tuple[Curve, ...]:
    rng = random.Random(5)
    made = []
    for method, top in ACCURACY.items():
        for i, name in enumerate(("clean", *CHECKS)):
            end = top - 6 - (0 if i == 0 else DROPS[method][i - 1])
            for seed in SEEDS[:3]:
                path = [
                    end * (1 - 0.6 * math.exp(-e / 25)) - (3 if e < 80 else 0.8 if e < 120 else 0) for e in range(160)
                ]
                noisy = tuple((p + rng.gauss(0, 1.2 if e < 80 else 0.2)) / 100 for e, p in enumerate(path))
                made.append(Curve(method, name, 0.98, seed, noisy))
    return tuple(made)


def data() -> ReportData:
    """The whole study with every part of the page filled."""
    judged = verdict()
    return ReportData(
        name="cifar10-resnet32",
        question="Does it matter which weights five pruning methods keep in a ResNet-32 on CIFAR-10?",
        rows=rows(judged),
        verdict=judged,
        study_toml=STUDY,
        layers=layers(),
        curves=curves(),
        overlaps=tuple(
            MaskOverlap(m, c, s, 0.18 + 0.05 * i, 0.179, 0.98, "hardly moved" if i == 2 else "")
            for m in ("snip", "grasp")
            for i, c in enumerate(CHECKS[:3])
            for s in (0.9, 0.98)
        ),
        cost={"trainings": 450, "shared": 120, "reused": 15, "seconds": 48_211.0},
        provenance={"prunecheck": "0.1.0", "torch": "2.15.0", "device": "1 GPU", "study key": "7c1e" * 16},
        command="prunecheck run study.toml",
        published=published(),
    )


def small() -> ReportData:
    """Every part of the page with little in it: two methods, two checks, three seeds."""
    whole = data()
    methods, checks = ("snip", "lr_rewinding"), ("clean", *CHECKS[:2])
    judged = replace(
        whole.verdict,
        methods=tuple(m for m in whole.verdict.methods if m.method in methods),
        checks=tuple(c for c in whole.verdict.checks if c.method in methods and c.check in checks),
    )
    return replace(
        whole,
        verdict=judged,
        rows=[r for r in whole.rows if r["method"] in methods and r["check"] in checks and r["seed"] < 3],
        layers=tuple(t for t in whole.layers if t.sparsity == 0.9 and t.method in (*methods, *REFERENCES)),
        curves=tuple(c for c in whole.curves if c.method in methods and c.check in checks),
        overlaps=whole.overlaps[:2],
        unfinished="Not finished: 37 of 99 trainings are done.",
    )


def published() -> tuple[PublishedNumber, ...]:
    """Two sources and a reproduction of one arm, one of a corrupted arm, one of an arm that is not here."""
    here = PublishedNumber(
        "resnet32", "cifar10", "snip", "clean", 0.9, 0.9281, "Su et al. 2020", "recalled", "160 epochs"
    )
    return (
        here,
        replace(here, accuracy=0.9259, source="Wang et al. 2020", setup="batch 128"),
        replace(here, accuracy=0.9255, source="A reproduction", certainty="reproduction", setup="one seed"),
        replace(here, check="layerwise_rearrange", accuracy=0.9272, source="A reproduction", certainty="reproduction"),
        replace(here, sparsity=0.5, source="Unlisted source"),
    )


def hostile(text: str, base: ReportData | None = None) -> ReportData:
    """The structure of *base* (the whole study) with *text* in every field that holds text."""
    base = base or data()
    v = base.verdict
    method = {m: f"{text}{m}" for m in ACCURACY}
    name = {c: f"{text}{c}" for c in (*CHECKS, "identity", "planted")} | {"clean": "clean"}

    def bad(one: Cell) -> Cell:
        return replace(
            one, sentence=text, notes=(text,), differences={f"{text}{k}": d for k, d in one.differences.items()}
        )

    checks = tuple(
        replace(
            c, method=method[c.method], check=name[c.check], sentence=text, notes=(text,),
            cells=tuple(bad(one) for one in c.cells), pooled=bad(c.pooled) if c.pooled else None,
        )
        for c in v.checks
    )  # fmt: skip
    judged = replace(
        v, study=text, margin_rule=text, banner=text, notes=(text,), checks=checks,
        methods=tuple(replace(m, method=method[m.method], sentence=text, notes=(f"{text}note",)) for m in v.methods),
        controls=tuple(replace(c, method=method[c.method], check=name[c.check], sentence=text) for c in v.controls),
    )  # fmt: skip
    named = {**method, "smart_ratio": "smart_ratio", "erk": "erk"}
    return ReportData(
        name=text,
        question=text,
        rows=[
            {
                **r,
                "method": method[r["method"]],
                "check": name[r["check"]],
                "seed": f"{text}{r['seed']}",
                "key": text,
                "dead_layers": [text],
                f"{text}column": text,
            }
            for r in base.rows
        ],
        verdict=judged,
        study_toml=text,
        layers=tuple(replace(t, method=named[t.method], names=tuple(text + n for n in t.names)) for t in base.layers),
        curves=tuple(replace(c, method=method[c.method], check=name[c.check]) for c in base.curves),
        overlaps=tuple(replace(o, method=method[o.method], check=name[o.check], note=text) for o in base.overlaps),
        cost={text: text},
        provenance={text: text},
        command=text,
        unfinished=text,
        published=tuple(
            replace(n, method=method[n.method], check=name[n.check], source=text, setup=text) for n in base.published
        ),
    )


def plain() -> ReportData:
    """The data of a table from another program: names, rows and a verdict."""
    base = data()
    keys = ("method", "check", "sparsity", "seed", "accuracy", "n_test")
    return ReportData("theirs", [{k: r[k] for k in keys} for r in base.rows], base.verdict)
