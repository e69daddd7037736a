"""What `lal trace` prints for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 14


def render(file: Path, digest: str, reports: Sequence[Mapping[str, Any]], notes: Sequence[str]) -> str:
    """The report on the first bundle in full, the others by name.

    Args:
        file: What was asked for.
        digest: Its SHA-256; of a folder that of its manifest.
        reports: As `--json` has them, best first.
        notes: What was out of reach.
    """
    first = reports[0]
    others = [f"{each['bundle']} ({each['name']})" for each in reports[1:]]
    what = "the whole bundle" if file.is_dir() else first["name"]
    lines = [
        f"{file}: sha256 {digest}",
        _row("it is", f"{what} of {first['bundle']}"),
        *([_row("also in", ", ".join(others))] if others else []),
        *_measured(first),
        *_champion(first),
        *_made(first["registered"]),
        *[line for stage, node in first["stages"].items() for line in _training(stage, node)],
        *_data(first),
        *[_row("note", note) for note in notes],
    ]
    return "\n".join(lines)


def _row(head: str, text: str) -> str:
    return f"{head:<{WIDTH}} {text}"


def _measured(report: Mapping[str, Any]) -> list[str]:
    measured = report["measured"]
    if not measured:
        return [_row("measured", "its manifest does not say; it was exported by an older Lal")]
    versions = ", ".join(f"{count} items of version {number}" for number, count in measured["gold_versions"].items())
    score = measured["headline"]
    return [
        _row("measured", f"headline {'-' if score is None else f'{score:.4f}'} on the gold set: {versions}"),
        _row("gate", measured["gate"]["sentence"]),
    ]


def _champion(report: Mapping[str, Any]) -> list[str]:
    champion = report["champion"]
    turns = [
        f"{turn['action']} on {turn['on']}" + (f" ({turn['reason']})" if turn["reason"] else "")
        for turn in champion["turns"]
    ]
    commits = [f"in champion/ since commit {commit[:12]}" for commit in champion["commits"][-1:]]
    unknown = "never" if report["registered"] else "not known here"
    word = "yes" if champion["now"] else "was once" if turns or commits else unknown
    same = champion["same_weights_as"]
    alike = [f"its weights are those of the champion, version {same}"] if same else []
    return [_row("champion", "; ".join([word, *alike, *turns, *commits]))]


def _made(registered: Mapping[str, Any] | None) -> list[str]:
    if not registered:
        return [_row("run", "not known: no registered version has this bundle, only a manifest.json")]
    runs = ", ".join(f"{stage} {run}" for stage, run in registered["runs"].items())
    uncommitted = registered["uncommitted"]
    edits = f", with uncommitted edits in {uncommitted}" if uncommitted not in (None, "no") else ""
    return [
        _row("run", f"{registered['run'] or 'not in this store'} ({runs})"),
        _row("commit", f"{registered['commit'] or 'not known'}{edits}"),
        _row("dvc", ", ".join(f"{path} {digest[:8]}" for path, digest in registered["dvc"].items()) or "not known"),
    ]


def _training(stage: str, node: Mapping[str, Any]) -> list[str]:
    told = {
        key: value
        for section in (node["params"] or {}).values()
        for key, value in (section.items() if isinstance(section, Mapping) else [])
    }
    params = ", ".join(f"{key} {json.dumps(value)}" for key, value in told.items())
    return [_row(stage, params or "its params are not known")]


def _data(report: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, part in (report["data"] or {}).items():
        manifest = part["manifest"]
        counts = ", ".join(f"{split}.jsonl {part['files'][f'{split}.jsonl'][:12]}" for split in ("train", "validation"))
        licences = ", ".join(manifest["licences"])
        lines.append(_row(name, f"{manifest.get(name)}: {counts}; licences: {licences}"))
    for name, source in report["sources"].items():
        lines.append(_row("source", source["pinned"] or f"{name} sha256 {source['sha256']}"))
    if not report["data"]:
        lines.append(_row("data", "its manifest does not say; the digests of what each training read are in --json"))
    return lines
