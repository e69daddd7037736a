"""reports/monitor.html: whether the server still says what was measured, what changed in the traffic, what to label."""

from collections.abc import Sequence
from html import escape
from math import exp

from lal.evaluation.report.page import frame
from lal.monitor.coverage import Coverage
from lal.monitor.drift import Shift
from lal.monitor.integrity import Integrity
from lal.monitor.signals import SIGNALS
from lal.monitor.window import Window

_COLUMNS = ("made for", "live", "chance explains", "verdict")

_FOOTER = "Made by <code>lal monitor</code> from data/live, the gold set and the base model."


def render_monitor(
    alarms: Sequence[str],
    integrity: Integrity,
    window: Window,
    shifts: Sequence[Shift],
    coverage: Coverage | None,
) -> str:
    """The page, one file that loads nothing.

    Args:
        alarms: A sentence each; none where all is well.
        integrity: Of the server's answers to the gold set.
        window: The live prompts.
        shifts: Of their signals; none where they are too few.
        coverage: Of the gold set; None where they are too few.
    """
    title = f"{len(alarms)} {'alarm' if len(alarms) == 1 else 'alarms'}" if alarms else "No alarm"
    listed = "".join(f"<li>{escape(alarm)}</li>" for alarm in alarms)
    body = (
        f'<p class="over">Monitor</p><h1>{title}</h1>\n'
        f'<p class="deck">{escape(integrity.sentence)} {escape(_window(window))}</p>\n'
        + (f'<ul class="notes">{listed}</ul>\n' if alarms else "")
        + (_drift(shifts) if shifts else "")
        + (_coverage(coverage, window) if coverage else "")
        + _others(integrity)
    )
    return frame(f"Monitor: {title}", body, _FOOTER)


def _window(window: Window) -> str:
    if not window.requests:
        return "No live request was kept yet."
    first, last = window.requests[0].time, window.requests[-1].time
    return f"{len(window.requests):,} live requests, from {first[:16]} to {last[:16]} UTC."


def _drift(shifts: Sequence[Shift]) -> str:
    rows = "".join(
        f"<tr><th>{escape(SIGNALS[each.signal])}</th>"
        + "".join(
            f'<td data-label="{column}"><span>{cell}</span></td>'
            for column, cell in zip(_COLUMNS, _cells(each), strict=True)
        )
        + "</tr>"
        for each in shifts
    )
    head = "".join(f"<th>{name}</th>" for name in ("", *_COLUMNS))
    return f'<h2>Input drift</h2><table class="ladder"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n'


def _cells(shift: Shift) -> tuple[str, str, str, str]:
    found = "<b>drift</b>" if shift.is_alarm else "as expected"
    if shift.signal == "log_bytes":
        low, high = exp(shift.reference - shift.limit), exp(shift.reference + shift.limit)
        return f"{exp(shift.reference):.1f} bytes", f"{exp(shift.live):.1f}", f"{low:.1f} to {high:.1f}", found
    low, high = max(0.0, shift.reference - shift.limit), shift.reference + shift.limit
    return f"{shift.reference:.3f}", f"{shift.live:.3f}", f"{low:.3f} to {high:.3f}", found


def _coverage(coverage: Coverage, window: Window) -> str:
    rows = "".join(
        f"<tr><th>{count}</th><td>{escape(window.requests[number].prompt)}</td>"
        f"<td>{escape(window.requests[number].answer)}</td></tr>"
        for number, count in zip(coverage.to_label, coverage.stands_for, strict=True)
    )
    told = f"<p>{coverage.uncovered:.1%} of the traffic has no gold item near it.</p>"
    table = (
        '<table class="ladder"><thead><tr><th>stands for</th><th>prompt</th><th>answer</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    return f"<h2>Gold coverage</h2>{told}\n" + (f"<h3>To label next</h3>{table}\n" if rows else "")


def _others(integrity: Integrity) -> str:
    if not integrity.others:
        return ""
    rows = "".join(
        f"<tr><th>{escape(each.item_id)}</th><td>{escape(each.measured)}</td><td>{escape(each.served)}</td></tr>"
        for each in integrity.others
    )
    head = "<tr><th>gold item</th><th>measured</th><th>served</th></tr>"
    return f'<h2>Served in other words</h2><table class="ladder"><thead>{head}</thead><tbody>{rows}</tbody></table>\n'
