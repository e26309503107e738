from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.study import Study, load_study, make_plan
from prunecheck.study.load import MAX_BYTES
from tests.study.studies import BASE, BASE_TOML, fields_of, study_text, write

CASES: list[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "bad_studies.toml").read_text("utf-8"))["case"]


def text_of(case: dict[str, Any]) -> str:
    """``{0*4000}`` in a case stands for 4000 times that letter."""
    text = case["whole"] if "whole" in case else study_text(case.get("lines", "").lstrip("\n"))
    text = re.sub(r"\{(\S{1,2})\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    dropped = case.get("drop", [])
    return "".join(line for line in text.splitlines(keepends=True) if line.partition(" ")[0] not in dropped)


def complaint(path: Path, *overrides: str) -> str:
    """What is said about a bad study: a StudyError of at most three harmless lines that names the file."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(StudyError) as caught:
        load_study(path, overrides)
    message = str(caught.value)
    assert caught.value.exit_code == 2
    assert len(message.splitlines()) <= 3, message
    assert all(character.isprintable() or character == "\n" for character in message), message
    assert path.name in message
    assert "Traceback" not in message
    assert [found for found in sorted(path.parent.rglob("*")) if "__pycache__" not in str(found)] == before
    return message


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_bad_study_is_refused_with_the_place(case: dict[str, Any], tmp_path: Path) -> None:
    if "plugin" in case:
        write(tmp_path, case["plugin"][1], case["plugin"][0])
    message = complaint(write(tmp_path, text_of(case)))
    for fragment in case["says"]:
        assert fragment in message, message


def test_unspoilt_study_is_valid(tmp_path: Path) -> None:
    assert load_study(write(tmp_path, BASE_TOML)).seeds == 2
    assert len(CASES) >= 100
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00\x01", "not UTF-8"),
        (BASE_TOML.encode("utf-16"), "not UTF-8"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not UTF-8"),
        (bytes(1000), "not valid TOML"),
        (b"#" * (MAX_BYTES + 1), "more than 50000 bytes"),
        (b"#" * 2_000_000, "more than 50000 bytes"),
    ],
    ids=["no text", "UTF-16", "a picture", "zeros", "one byte too long", "2 MB"],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    assert says in complaint(path)


def test_a_file_as_large_as_may_be_and_one_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    text = BASE_TOML.encode()
    path.write_bytes(text + b"#" * (MAX_BYTES - len(text)))
    assert load_study(path).model == "convnet"
    path.write_bytes(b"\xef\xbb\xbf" + text)
    assert load_study(path).model == "convnet"


def test_a_folder_is_no_study(tmp_path: Path) -> None:
    folder = tmp_path / "study.toml"
    folder.mkdir()
    assert "directory" in complaint(folder)


def test_missing_study_file_suggests_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, BASE_TOML, "resnet.toml")
    assert "resnet.toml" in complaint(tmp_path / "resnt.toml")
    assert "Did you mean" not in complaint(tmp_path / "zzz.toml")
    assert "Did you mean" not in complaint(tmp_path / "no folder" / "resnet.toml")


def test_impossible_file_name_is_refused() -> None:
    for name in ("a\0b.toml", "x" * 5000 + ".toml"):
        with pytest.raises(StudyError, match=r"cannot be"):
            load_study(name)


def test_a_file_name_with_control_characters_is_harmless(tmp_path: Path) -> None:
    path = write(tmp_path, "sparsites = 1", "a\x1b[31m\nb.toml")
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_plugin_folder_or_binary_is_no_plugin(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "binary.py").write_bytes(bytes(range(256)))
    for name in ("folder.py", "binary.py"):
        assert name in complaint(write(tmp_path, study_text(f'plugins = ["{name}"]')))


def test_plugins_are_found_beside_the_study_file_and_may_be_named_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    write(
        tmp_path,
        "from prunecheck.pruning import check\n@check(at='masks')\ndef mine(masks):\n    return masks\n",
        "p.py",
    )
    study = load_study(write(tmp_path, study_text('plugins = ["p.py"]\nchecks = ["mine"]')))
    assert study.plugin_files == (tmp_path / "p.py",)


def test_missing_or_unreadable_data_folder_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for root in ("loop", "study.toml"):
        complaint(write(tmp_path, study_text(f'data = {{ name = "cifar10", root = "{root}" }}')))
    with pytest.raises(StudyError):
        load_study(write(tmp_path, study_text('plugins = ["loop"]')))


# --set


def test_overrides_are_toml_values_and_bare_words_are_text(tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    study = load_study(
        path,
        [
            "training.epochs=5",
            "training.lr=1e-2",
            "training.flip = true",
            "sparsities=[0.5, '98%']",
            "seeds=auto",
            "model=resnet20",
            "question=why not = why",
            "methods=['snip', {name = 'grasp', options = {temperature = 1.0}}]",
        ],
    )
    assert study.training.epochs == 5
    assert study.training.lr == 0.01
    assert study.training.flip is True
    assert study.sparsities == (0.5, 0.98)
    assert study.seeds == "auto"
    assert study.model == "resnet20"
    assert study.question == "why not = why"
    assert study.methods[1].options == {"temperature": 1.0}


def test_later_override_wins_and_the_file_is_unchanged(tmp_path: Path) -> None:
    path = write(tmp_path, BASE_TOML)
    assert load_study(path, ["seeds=4", "seeds=5"]).seeds == 5
    assert path.read_text() == BASE_TOML


def test_a_field_of_a_shorthand_can_be_set(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, BASE_TOML), ["data.size=4", "data.train_size=100"])
    assert (study.data.name, study.data.size, study.data.train_size) == ("digits", 4, 100)


def test_a_mapping_is_not_changed_by_overrides() -> None:
    fields = {**BASE, "training": {"epochs": 3}}
    assert load_study(fields, ["training.epochs=2", "data.size=4"]).training.epochs == 2
    assert fields == {**BASE, "training": {"epochs": 3}}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("training.epochs", "field=value"),
        ("=5", "field=value"),
        ("", "field=value"),
        ("seeds.first=5", "'seeds' is not a table"),
        ("methods.name=snip", "'methods' is not a table"),
        ("training.epoch=5", "'epochs'"),
        ("trainin.epochs=5", "'training'"),
        ("training..epochs=5", "training."),
        ("training.epochs=five", "training.epochs = 'five'"),
        ("training.epochs=", "training.epochs = ''"),
        ("training.epochs=07", "training.epochs = '07'"),
        ("sparsities=0.9", "[0.9]"),
        ("sparsities=[0.9", "must be a list"),
        ("seeds=2\nmodel='x'", "seeds"),
        ("folder=/tmp", "folder is not a field"),
        ("model=\x1b[31m", "is not a model"),
    ],
)
def test_a_bad_override_is_refused(tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(write(tmp_path, BASE_TOML), [override])
    assert says in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


# what else a study may be


def test_load_study_accepts_a_study(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, study_text("[training]\nepochs = 3"), "mine.toml"))
    assert study.name == "mine"
    assert load_study(study) == study
    assert load_study(study).folder == tmp_path
    assert load_study(study, ["training.epochs=2"]).training.epochs == 2


def test_the_name_of_a_file_becomes_a_name(tmp_path: Path) -> None:
    for file, name in [("a b.toml", "a-b"), ("..x.toml", "x"), ("été.toml", "t-"), ("-.toml", "study")]:
        assert load_study(write(tmp_path, BASE_TOML, file)).name == name


# whatever is done to a study


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a document."""
    here = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return here + [place for key, part in inner for place in _places(part, (*path, key))]


RICH = {
    **BASE,
    "data": {"name": "digits", "size": 8, "train_size": 100},
    "methods": [
        "snip",
        {"name": "grasp", "label": "g", "options": {"temperature": 1.0}, "allocate": {"name": "erk"}},
        {"name": "wr", "rewind_epoch": 1, "rounds": 2},
    ],
    "checks": ["random_labels", {"name": "half_dataset", "dose": 0.5, "options": {"which": "first"}}],
    "margin": 0.5,
    "controls": ["identity"],
    "training": {"epochs": 4, "lr": 0.1, "drops": [0.5], "recipe": "short"},
    "scoring": {"batches": 1},
    "plugins": [],
}
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 70, 400, 20_000]).map(lambda bits: 1 << bits)  # the largest have no repr
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["snip", "lr_rewinding", "cifar10", "folder", "90%", "auto", "counts_of", "~", "\0", "..", "x" * 5000]
    )
    | st.dates()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
words = st.text(max_size=6) | st.sampled_from(["name", "label", "options", "sparsity", "rounds", "per_round", "epochs"])


@st.composite
def mangled(draw: st.DrawFn) -> dict[str, Any]:
    """A good study with one to three of its parts dropped, renamed, replaced, nested or joined by another."""
    document = fields_of("") | _copy(RICH)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(document) or [("model",)]))
        parent: Any = document
        for part in place[:-1]:
            parent = parent[part]
        last, change = place[-1], draw(st.sampled_from(["drop", "rename", "replace", "nest", "twice", "join"]))
        if change == "replace" or last not in (parent if isinstance(parent, dict) else range(len(parent))):
            parent[last] = draw(values)
        elif change == "nest":
            parent[last] = draw(st.sampled_from([[parent[last]], {"name": parent[last]}]))
        elif change == "join" and isinstance(parent[last], dict):
            parent[last][draw(words)] = draw(values)
        elif change == "twice" and isinstance(parent[last], list):
            parent[last] = parent[last] * 2
        elif change == "rename" and isinstance(parent, dict):
            parent[draw(words)] = parent.pop(last)
        else:
            del parent[last]
    return document


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value


def loads_or_complains(source: Any) -> None:
    message = ""
    try:
        study = load_study(source)
    except StudyError as error:
        message = str(error)
    else:
        assert isinstance(study, Study)
        if len(study.first_seeds()) <= 5:
            make_plan(study)  # what was loaded can be planned
    assert len(message.splitlines()) <= 3
    assert message.replace("\n", "").isprintable()


quick = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(mangled())
def test_mutated_study_is_loaded_or_refused(document: dict[str, Any]) -> None:
    loads_or_complains(document)


@quick
@given(st.data())
def test_arbitrary_bytes_as_study_file_are_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray(BASE_TOML.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 12))] = data.draw(
            st.binary(max_size=8) | st.sampled_from([b"[", b"=", b'"'])
        )
    path = tmp_path_factory.getbasetemp() / "mangled.toml"
    path.write_bytes(bytes(text))
    loads_or_complains(path)


@pytest.mark.slow
@settings(quick, max_examples=5000)
@given(mangled())
def test_many_mutated_studies(document: dict[str, Any]) -> None:
    loads_or_complains(document)


def test_a_study_whose_plan_would_not_fit_into_memory_is_refused_at_once(tmp_path: Path) -> None:
    sparsities = ", ".join(str(0.1 + n / 10_000) for n in range(2000))
    many = study_text(f"sparsities = [{sparsities}]\nseeds = 1000")
    assert "this study asks for 12,000,000 tickets" in complaint(write(tmp_path, many))
    assert "at most 500,000" in complaint(
        write(
            tmp_path,
            study_text(
                'methods = [{ name = "lr_rewinding", rounds = 100 }]\nseeds = 1000\nsparsities = [0.5, 0.6, 0.7]'
            ),
        )
    )
