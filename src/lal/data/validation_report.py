"""The validation report: one HTML page, readable on a phone, in light and dark, without scripts or the network."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

from lal.data.validation import Check

MOST_FINDINGS = 100
"""Shown of each rule; the page stays small where every line of a file is wrong."""

FEW_FINDINGS = 10
"""Shown at once; a longer list of warnings opens when asked for."""

TITLES = {
    "files": "Files",
    "corpus": "Corpus",
    "conversations": "Conversations",
    "gold": "Gold set",
    "versions": "Versions of the gold set",
    "overlap": "Gold items in the training data",
}

_STYLE = """
:root { color-scheme: light dark; --line: #d5d9e0; --soft: #5a6472; --good: #1a7f37; --warn: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a414c; --soft: #9aa5b4; --good: #57c26a; --warn: #dfb04a; --bad: #ff7b72; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .5rem 0; }
dl div { display: flex; gap: .4rem; }
dt, .remedy, .more, small { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.check { border-top: 1px solid var(--line); padding: .5rem 0; }
div.check > p, summary { margin: 0; display: grid; grid-template-columns: 5.5rem 1fr; gap: .5rem; }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary small { text-decoration: underline; }
.passed b { color: var(--good); }
.warned b { color: var(--warn); }
.failed b { color: var(--bad); }
ol { margin: .5rem 0 0; padding-left: 1.2rem; }
li { margin: .35rem 0; }
code { font: .85em ui-monospace, monospace; }
.remedy { margin: .5rem 0; }
"""


def render_report(checks: Sequence[Check], counts: Mapping[str, Mapping[str, Any]]) -> str:
    """The page.

    Args:
        checks: All rules, those of one table together.
        counts: For each table what was counted in it, e.g. `{"corpus": {"documents": {"train": 1}}}`.
    """
    failed, warned = sum(check.stops for check in checks), sum(check.warns for check in checks)
    verdict = f"{failed} rule{'s' * (failed > 1)} broken: the pipeline stops" if failed else "Fit to train on"
    tone = "failed" if failed else "warned" if warned else "passed"
    tally = f"{len(checks)} rules: {len(checks) - failed - warned} kept, {warned} with warnings, {failed} broken"
    groups = {name: sorted(group, key=_rank) for name, group in groupby(checks, key=lambda check: check.table)}
    worst_first = sorted(groups.items(), key=lambda named: _rank(named[1][0]))
    tables = "".join(_render_table(name, group, counts.get(name, {})) for name, group in worst_first)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Validation: {escape(verdict)}</title><style>{_STYLE}</style></head>\n"
        f'<body><h1 class="{tone}"><b>{escape(verdict)}</b></h1><p>{tally}</p>\n{tables}</body></html>\n'
    )


def _rank(check: Check) -> int:
    return 0 if check.stops else 1 if check.warns else 2


def _render_table(name: str, checks: Sequence[Check], counts: Mapping[str, Any]) -> str:
    facts = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in _flatten(counts))
    body = "".join(_render_check(check) for check in checks)
    return f"<h2>{escape(TITLES[name])}</h2>\n<dl>{facts}</dl>\n{body}"


def _render_check(check: Check) -> str:
    if not check.findings:
        rule = f"<span>{escape(check.rule)} <small>({check.num_rows:,} lines)</small></span>"
        return f'<div class="check passed"><p><b>kept</b>{rule}</p></div>\n'
    tone, word = ("failed", "broken") if check.stops else ("warned", "warning")
    shown = "".join(
        f"<li><code>{escape(finding.place)}</code><br>{escape(finding.value)}</li>"
        for finding in check.findings[:MOST_FINDINGS]
    )
    left_out = len(check.findings) - MOST_FINDINGS
    more = f'<p class="more">... and {left_out:,} more</p>' if left_out > 0 else ""
    return (
        f'<details class="check {tone}"{" open" if check.stops or len(check.findings) <= FEW_FINDINGS else ""}>'
        f"<summary><b>{word}</b><span>{escape(check.rule)} <small>({len(check.findings):,} found)</small></span>"
        "</summary>"
        f'<p class="remedy">What to do: {escape(check.remedy)}.</p><ol>{shown}</ol>{more}</details>\n'
    )


def _flatten(counts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested counts as (name, value) pairs, e.g. `documents, train` and `1`; a float is a share."""
    flat: list[tuple[str, str]] = []
    for key, value in counts.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            flat += _flatten(value, f"{name}, ")
        else:
            flat.append((name, f"{value:,}" if isinstance(value, int) else f"{100 * value:.0f} %"))
    return flat
