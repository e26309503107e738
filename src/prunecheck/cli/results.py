"""Verdicts on a finished table of results, and the files for a paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from prunecheck import api
from prunecheck.cli import console
from prunecheck.cli.console import note, print_json
from prunecheck.cli.options import Flag, Json, Junit, Out, Set, StorePath, Strict
from prunecheck.errors import StudyError
from prunecheck.text import listing, parse_sparsity, printable, unknown

Several = Parameter(consume_multiple=False, negative="", show_default=False)
if TYPE_CHECKING:
    from prunecheck.reporting.data import ReportData
    from prunecheck.reporting.language import LanguageReport
    from prunecheck.statistics import Reading
    from prunecheck.statistics.rows import Metric

Spread = Literal["std", "population", "se"]


def verdict(
    results: Path | None = None,
    *,
    samples: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", show_default=False)] = (),
    margin: str | None = None,
    chance: str | None = None,
    classes: int | None = None,
    looks: str = "",
    against: Annotated[tuple[str, ...], Several] = (),
    metric: str | None = None,
    percent: Flag = False,
    n_test: int | None = None,
    runs: int | None = None,
    spread: Spread | None = None,
    sparsity: str | None = None,
    task: Annotated[tuple[str, ...], Several] = (),
    filter: str | None = None,
    out_dir: Annotated[Path | None, Parameter(name=["--out"])] = None,
    junit: Junit = None,
    strict: Strict = False,
    json: Json = False,
) -> int:
    """Judge a table of results from any code.

    The CSV file has the columns method, check, sparsity, seed, accuracy, n_test: one row per trained network; check
    `clean` marks the uncorrupted arm, method `dense` the unpruned network. A table of means has one row per arm, with
    mean, std and n instead of seed and accuracy. The results.csv of a study is judged as the study was; that of
    language models has nll, nats per token, instead of accuracy, and a documents.csv beside it.

    With --samples: judge evaluations of lm-evaluation-harness, made with --log_samples, paired by document and seed.

    Example: prunecheck verdict results.csv --classes 10 --against random_ticket

    Parameters
    ----------
    results
        The table; other columns are ignored, rows may be in any order.
    samples
        Arms as NAME=FOLDER, the folder being the --output_path of lm_eval; one is called clean, the unpruned network
        dense. Several seeds: the name several times, in the same order for every arm.
    margin
        The margin in points of the metric (in nats for a log-likelihood), as standard deviations between dense runs
        ("1 sd") or as a share of the lead over random_ticket ("30% of lead", "30% of lead of snip") or of what a method
        loses against the dense network ("10% of loss of snip"); by default set by rule from the dense rows.
    chance
        Accuracy of always guessing the commonest class, such as 0.1 or 10%.
    classes
        Number of classes, where all are equally common; instead of --chance.
    looks
        Where seeds were added depending on results: the numbers of seeds at which they were analysed, such as 3,5,7,10.
        By default the number of seeds is taken as chosen beforehand.
    against
        Compare the clean arm of every other method with this method's; may be given several times.
    metric
        The column that is compared: accuracy (the default), p_correct, or brier; with --samples a metric of the
        harness, such as acc_norm.
    percent
        Accuracies are percent, even those below 1.
    n_test
        Number of test examples, where the table has no such column.
    runs
        Number of runs behind each mean, where the table has no column n.
    spread
        What std or ± is: the sample standard deviation (std, divisor n - 1), that with divisor n (population), or the
        standard error of the mean (se).
    sparsity
        With --samples: the fraction of weights removed, 0.5 or 50%.
    task
        With --samples: judge this task only; may be given several times.
    filter
        With --samples: the filter that answers are read by, where a task has several.
    out_dir
        Write the report page and verdicts.json into this folder.
    """
    from prunecheck.reporting import write
    from prunecheck.reporting.language import LanguageReport, terminal_lines, write_language
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import Reading, exit_code
    from prunecheck.statistics import junit as as_junit
    from prunecheck.store.durable import write_file

    if samples:
        return _verdict_of_samples(
            results,
            samples,
            margin,
            sparsity,
            metric,
            filter,
            task,
            _chance_of(chance, classes),
            out_dir,
            junit,
            strict=strict,
            json=json,
        )
    if results is None:
        raise StudyError("verdict: give a table of results, or --samples clean=FOLDER placebo=FOLDER.")
    if sparsity is not None or task or filter is not None:
        raise StudyError("verdict: --sparsity, --task and --filter are for --samples; a table says these itself.")
    reading = Reading(percent or None, n_test, runs, spread)
    data = _judged_table(results, margin, chance, classes, looks, against, metric, reading)
    answer = data.verdict
    if out_dir is not None:
        page = write_language(data, out_dir) if isinstance(data, LanguageReport) else write(data, out_dir)
        note(f"report: {page}")
    if junit is not None:
        write_file(junit, as_junit(answer).encode())
    if json:
        print_json(answer.to_dict())
    elif isinstance(data, LanguageReport):
        print("\n".join(terminal_lines(data)))
    else:
        print_verdict(answer, console.out(), data, _more(out_dir))
    return exit_code(answer) if strict else 0


def _judged_table(
    table: Path,
    margin: str | None,
    chance: str | None,
    classes: int | None,
    looks: str,
    against: tuple[str, ...],
    metric: str | None,
    reading: Reading,
) -> ReportData | LanguageReport:
    """The rows of a CSV file with their verdicts, by options as they are typed."""
    from prunecheck.reporting.foreign import data_of_table
    from prunecheck.statistics import verdict as judged

    answer = judged(
        table,
        margin,
        chance=_chance(chance),
        classes=classes,
        looks=_looks(looks),
        against=against,
        metric=_table_metric(metric),
        reading=reading,
    )
    return data_of_table(table, judged=answer, reading=reading)


def _more(out_dir: Path | None) -> str:
    """Where all remarks are."""
    return "in the report" if out_dir is not None else "in the report that --out FOLDER writes"


def _verdict_of_samples(
    results: Path | None,
    samples: tuple[str, ...],
    margin: str | None,
    sparsity: str | None,
    metric: str | None,
    filter_: str | None,
    tasks: tuple[str, ...],
    chance: float,
    out_dir: Path | None,
    junit: Path | None,
    *,
    strict: bool,
    json: bool,
) -> int:
    from prunecheck.reporting import write
    from prunecheck.reporting.data import ReportData
    from prunecheck.reporting.terminal import print_verdict
    from prunecheck.statistics import exit_code, judge_samples
    from prunecheck.statistics import junit as as_junit
    from prunecheck.store.durable import write_file

    if results is not None:
        raise StudyError("verdict: give a table or --samples, not both.")
    if sparsity is None:
        raise StudyError("verdict --samples: say how sparse the networks are, such as --sparsity 50%.")
    arms: dict[str, list[Path]] = {}
    for text in samples:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise StudyError(f"--samples {printable(text)!r}: write NAME=FOLDER, such as clean=runs/clean.")
        arms.setdefault(name, []).append(Path(folder))
    judged = judge_samples(
        arms,
        margin,
        sparsity=parse_sparsity(sparsity),
        metric=metric,
        filter=filter_,
        tasks=tasks,
        chance=chance,
    )
    if junit is not None and len(judged) > 1:
        raise StudyError("--junit writes the verdicts of one task: choose it with --task.")
    documents = {}
    for one in judged:
        data = ReportData(name=one.task, rows=one.records, verdict=one.verdict)
        documents[one.task] = one.verdict.to_dict()
        if out_dir is not None:
            note(f"report: {write(data, out_dir / one.task if len(judged) > 1 else out_dir)}")
        if junit is not None:
            write_file(junit, as_junit(one.verdict).encode())
        if not json:
            print_verdict(one.verdict, console.out(), data, _more(out_dir))
    if json:
        print_json(documents[judged[0].task] if len(judged) == 1 else {"schema_version": 1, "tasks": documents})
    codes = {exit_code(one.verdict) for one in judged}
    return next(code for code in (1, 4, 0) if code in codes) if strict else 0


def _table_metric(name: str | None) -> Metric | None:
    """The metric of a table. Raises StudyError for one that tables do not have."""
    metrics: tuple[Metric, ...] = ("accuracy", "p_correct", "brier")
    found = next((metric for metric in metrics if metric == name), None)
    if name is not None and found is None:
        raise StudyError(f"--metric: {unknown('metric', name, metrics)}")
    return found


def _chance_of(chance: str | None, classes: int | None) -> float:
    if classes is not None:
        if chance is not None:
            raise StudyError("give --chance or --classes, not both.")
        if classes < 2:
            raise StudyError(f"classes {classes} must be at least 2.")
        return 1 / classes
    return _chance(chance) or 0.0


def _chance(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise StudyError(f"--chance {printable(text)!r} is not an accuracy. Write 0.1 or 10%.") from None
    return number / 100 if text.strip().endswith("%") else number


def _looks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise StudyError(f"--looks {printable(text)!r}: write numbers of seeds, such as 3,5,7,10.") from None


def paper(
    study: Path,
    *,
    to: Path,
    formats: str = "pdf",
    parquet: Flag = False,
    margin: str | None = None,
    chance: str | None = None,
    classes: int | None = None,
    looks: str = "",
    against: Annotated[tuple[str, ...], Several] = (),
    metric: str | None = None,
    percent: Flag = False,
    n_test: int | None = None,
    runs: int | None = None,
    spread: Spread | None = None,
    set: Set = (),
    store: StorePath = None,
    out: Out = None,
) -> None:
    """Write figures, tables, the methods paragraph, references and numbers for a paper into one folder.

    Trains nothing: the study must have been run. A CSV file of results works too, with the options of
    `prunecheck verdict`.

    Example: prunecheck paper study.toml --to paper --formats pdf,svg

    Parameters
    ----------
    study
        The study file, or a CSV file of results.
    to
        The folder to write to.
    formats
        File formats of the figures: svg, pdf, png, separated by commas.
    parquet
        Also write results.parquet (needs pyarrow).
    margin
        For a CSV file: the margin, as for `prunecheck verdict`; by default set by rule from the dense rows.
    chance
        For a CSV file: accuracy of always guessing the commonest class, such as 0.1 or 10%.
    classes
        For a CSV file: number of classes, where all are equally common; instead of --chance.
    looks
        For a CSV file: the numbers of seeds at which it was analysed, where seeds were added depending on results.
    against
        For a CSV file: compare the clean arm of every other method with this method's; may be given several times.
    metric
        For a CSV file: the column that is compared: accuracy (the default), p_correct, or brier.
    percent
        For a CSV file: accuracies are percent, even those below 1.
    n_test
        For a CSV file: number of test examples, where the table has no such column.
    runs
        For a CSV file: number of runs behind each mean, where the table has no column n.
    spread
        For a CSV file: what std or ± is: std (divisor n - 1), population (divisor n) or se (standard error).
    """
    from prunecheck.reporting.export import require_pyarrow
    from prunecheck.reporting.language import LanguageReport
    from prunecheck.reporting.language_paper import write_language_paper
    from prunecheck.reporting.paper import write_paper
    from prunecheck.reporting.print_figures import checked_formats

    wanted = checked_formats(one.strip() for one in formats.split(","))
    if parquet:
        require_pyarrow()
    if study.suffix.lower() == ".csv":
        from prunecheck.statistics import Reading

        reading = Reading(percent or None, n_test, runs, spread)
        data = _judged_table(study, margin, chance, classes, looks, against, metric, reading)
    else:
        given = {"margin": margin, "chance": chance, "classes": classes, "looks": looks, "against": against}
        given |= {"metric": metric, "percent": percent, "n-test": n_test, "runs": runs, "spread": spread}
        if named := [f"--{name}" for name, value in given.items() if value]:
            raise StudyError(f"paper: {listing(named)} {'is' if len(named) == 1 else 'are'} for a CSV file.")
        data = api.report(study, overrides=set, store=store, folder=out).data
    if isinstance(data, LanguageReport):
        written, table = write_language_paper(data, to, wanted, parquet=parquet), "perplexity"
    else:
        written, table = write_paper(data, to, wanted, parquet=parquet), "accuracy"
    for path in written:
        print(path)
    inputs = f"\\input{{verdicts}}, \\input{{{table}}}, \\input{{methods}}"
    note(f"In LaTeX: {inputs}, with booktabs, natbib and references.bib.")
