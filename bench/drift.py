"""How much foreign traffic it takes until `lal monitor` sees it, and how often it cries wolf.

    python -m bench.drift                         # after `dvc repro`

Windows of requests are drawn: a share of them foreign, the rest like those the model was made for. Half of the held-out
conversations are the reference, the other half the ordinary traffic, so that the row without foreign requests counts
false alarms. The lines of the three gold plays are a kind of traffic of their own: of the same task, from other plays.
Nothing of the monitor was tuned on these texts.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.table import PAGE, report
from lal.errors import LalError
from lal.model.folder import load_model
from lal.monitor.drift import find_shifts
from lal.monitor.signals import Array, measure
from lal.monitor.window import MOST_REFERENCE
from lal.records import MODERNISE_PREFIX, Conversation, line_to_modernise, read_records
from lal.stages.monitor import known_pieces

Signals = Mapping[str, Array]

SIZES, SHARES, WINDOWS, SEED = (50, 200), (0.1, 0.3, 1.0), 1000, 3

CHAUCER = """\
Whan that Aprille with his shoures soote
The droghte of March hath perced to the roote
And bathed every veyne in swich licour
Of which vertu engendred is the flour
Whan Zephirus eek with his swete breeth
Inspired hath in every holt and heeth
The tendre croppes and the yonge sonne
Hath in the Ram his halfe cours yronne
And smale foweles maken melodye
That slepen al the nyght with open ye
Thanne longen folk to goon on pilgrimages
And palmeres for to seken straunge strondes
To ferne halwes kowthe in sondry londes
And specially from every shires ende
Of Engelond to Caunterbury they wende
The hooly blisful martir for to seke
That hem hath holpen whan that they were seeke"""

CAESAR = """\
Gallia est omnis divisa in partes tres
quarum unam incolunt Belgae aliam Aquitani
tertiam qui ipsorum lingua Celtae nostra Galli appellantur
Hi omnes lingua institutis legibus inter se differunt
Gallos ab Aquitanis Garumna flumen
a Belgis Matrona et Sequana dividit
Horum omnium fortissimi sunt Belgae
propterea quod a cultu atque humanitate provinciae longissime absunt
minimeque ad eos mercatores saepe commeant
atque ea quae ad effeminandos animos pertinent important
proximique sunt Germanis qui trans Rhenum incolunt
quibuscum continenter bellum gerunt"""

TODAY = """\
Can you send me the report before Friday?
The train was late again, so I missed the meeting.
Please restart the router and check the cable.
My phone battery lasts about two days.
We booked a table for four at the new restaurant.
The software update fixed most of the problems.
I will call you back after lunch.
Turn left at the traffic lights and park behind the bank.
The kids are watching a film in the living room.
Our website had more visitors than last month.
She works from home on Mondays and Tuesdays.
Add two eggs and a cup of sugar, then stir."""


def pools_of(ordinary: Sequence[str], plays: Sequence[str], modern: Sequence[str]) -> dict[str, list[str]]:
    """Kind of traffic -> its prompts."""
    return {
        "lines of other plays": list(plays),
        "the same lines, modern spelling": [MODERNISE_PREFIX + line for line in modern],
        "the same lines, upper case": [MODERNISE_PREFIX + (line_to_modernise(each) or "").upper() for each in ordinary],
        "English of the 14th century": [MODERNISE_PREFIX + line for line in CHAUCER.splitlines()],
        "Latin": [MODERNISE_PREFIX + line for line in CAESAR.splitlines()],
        "English of today, no task": TODAY.splitlines(),
    }


def seen_share(reference: Signals, ordinary: Signals, foreign: Signals, size: int, share: float, rate: float) -> float:
    """The share of `WINDOWS` windows of so many requests, so many of them foreign, that raise an alarm."""
    generator = np.random.default_rng(SEED)
    num_foreign = round(share * size)
    window = {
        name: np.concatenate([np.resize(foreign[name], num_foreign), values[: size - num_foreign]])
        for name, values in ordinary.items()
    }
    limits = find_shifts(reference, window, np.ones(size), rate)
    alarm = np.zeros(WINDOWS, dtype=bool)
    places = {
        name: generator.integers(len(next(iter(pool.values()))), size=(WINDOWS, count))
        for name, pool, count in (("foreign", foreign, num_foreign), ("ordinary", ordinary, size - num_foreign))
    }
    for limit in limits:
        name = limit.signal
        total = foreign[name][places["foreign"]].sum(axis=1) + ordinary[name][places["ordinary"]].sum(axis=1)
        alarm |= np.abs(total / size - limit.reference) > limit.limit
    return float(alarm.mean())


def run(folder: Path, rate: float) -> list[dict[str, object]]:
    """The table. Raises: LalError: `dvc repro` has not made what it reads."""
    conversations = folder / "data" / "conversations"
    rows = read_records(conversations / "validation.jsonl", Conversation)
    order = np.random.default_rng(SEED).permutation(len(rows))[: 2 * MOST_REFERENCE]
    then, now = ([rows[number] for number in half] for half in np.array_split(order, 2))
    plays = read_records(conversations / "test.jsonl", Conversation)[:MOST_REFERENCE]
    base, known = load_model(folder / "models" / "base"), known_pieces(folder / "data" / "corpus", conversations)

    def signals(prompts: Sequence[str]) -> dict[str, Array]:
        return measure(prompts, base, known)

    reference, ordinary = signals([row.prompt for row in then]), signals([row.prompt for row in now])
    pools = pools_of([row.prompt for row in now], [row.prompt for row in plays], [row.answer for row in now])
    table: list[dict[str, object]] = [row_of("none", 0.0, (reference, ordinary, ordinary), rate)]
    for kind, prompts in pools.items():
        foreign = signals(prompts)
        table += [row_of(kind, share, (reference, ordinary, foreign), rate) for share in SHARES]
    return table


def row_of(kind: str, share: float, pools: tuple[Signals, Signals, Signals], rate: float) -> dict[str, object]:
    """How often windows of each size raise an alarm; the pools are those of `seen_share`."""
    seen = {f"{size} requests": round(seen_share(*pools, size, share, rate), 3) for size in SIZES}
    return {"foreign traffic": kind, "share of it": share, **seen}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the share of windows with an alarm."""
    parser = argparse.ArgumentParser(prog="python -m bench.drift", description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, default=Path(), help="folder in which `dvc repro` ran")
    parser.add_argument("--rate", type=float, default=0.01, help="stated rate of false alarms")
    parser.add_argument("--dry", action="store_true", help="print only, and leave docs/experiments.md alone")
    options = parser.parse_args(arguments)
    note = (
        f"Share of {WINDOWS:,} windows with an alarm, at a stated rate of {options.rate:g}. Without foreign traffic "
        "this is the rate of false alarms."
    )
    try:
        rows = run(options.project, options.rate)
    except LalError as error:
        sys.exit(f"error: {error}")
    report("drift", "What the monitor sees", rows, note, None if options.dry else PAGE)


if __name__ == "__main__":
    main()
