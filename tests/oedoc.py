# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of opportunistic encryption in print: `python -m tests.oedoc` puts it into docs/OE.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from openswan.engine.oestates import MOVES, Act, Event, Move, State, next_move

PAGE = Path(__file__).parent.parent / "docs" / "OE.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def _target(move: Move | None, state: State) -> str:
    if move is None:
        return ""
    return "failure" if move.to is None else "stays" if move.to is state else move.to.name


def states() -> Iterator[str]:
    """What each state is."""
    yield "| state | packets meet | |"
    yield "|---|---|---|"
    for state in State:
        yield f"| {state.name} | {state.meets} | {state.story} |"


def matrix() -> Iterator[str]:
    """State by event: where it leads."""
    yield "| | " + " | ".join(state.name for state in State) + " |"
    yield "|---" * (len(State) + 1) + "|"
    for event in Event:
        yield (
            f"| **{event.name}** {event.value} | "
            + " | ".join(_target(next_move(state, event), state) for state in State)
            + " |"
        )


def moves() -> Iterator[str]:
    """What is done on the way: rows of one event and the same acts share a line."""
    yield "| event | in | acts |"
    yield "|---|---|---|"
    for event in Event:
        shared: dict[tuple[Act, ...], list[str]] = {}
        for (state, each), move in MOVES.items():
            if each is event:
                shared.setdefault(move.acts, []).append(state.name)
        for acts, names in shared.items():
            order = [state.name for state in State if state.name in names]
            yield f"| {event.name} | {', '.join(order)} | {', '.join(act.name for act in acts) or 'none'} |"


def acts() -> Iterator[str]:
    """What each act is."""
    yield "| act | |"
    yield "|---|---|"
    for act in Act:
        yield f"| {act.name} | {act.value} |"


def table() -> str:
    """Everything between the marks of docs/OE.md."""
    parts = (states(), matrix(), moves(), acts())
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def printed(page: str) -> str:
    """What stands between the marks of a page."""
    return page.split(BEGIN, 1)[1].split(END, 1)[0]


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text.replace(BEGIN + printed(text) + END, BEGIN + table() + END))
