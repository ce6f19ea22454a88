"""A lifecycle as a picture: SVG made by hand, readable in light and in dark, by eye and by a screen reader.

Stages stand in columns by role, moves are curves between them: forward ones above, ways back below. Every stage and
move has a title that says what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from nurture.core.conditions import say
from nurture.core.definition import Stage
from nurture.core.lifecycle import Lifecycle, Move

WIDTH, HEIGHT = 200, 96
_GAP, _MARGIN, _LANE = 150, 40, 30

_LIGHT = {
    "back": "fill:#ffffff",
    "card": "fill:#f6f7f9;stroke:#d5dae1",
    "ink": "fill:#1c2430",
    "soft": "fill:#5b6675",
    "edge": "fill:none;stroke:#8a94a3;stroke-width:1.6",
    "return": "stroke:#a03a6b;stroke-dasharray:5 4",
    "tip": "fill:#8a94a3;stroke:none",
    "tip.return": "fill:#a03a6b;stroke:none",
    "note": "stroke:#ffffff",
    "marketing": "fill:#0f6fc5",
    "personal": "fill:#b4540a",
    "silent": "fill:#6b7280",
}
_DARK = {
    "back": "fill:#12161c",
    "card": "fill:#1b212a;stroke:#36404d",
    "ink": "fill:#e8ecf2",
    "soft": "fill:#a8b2c0",
    "edge": "stroke:#7d8898",
    "return": "stroke:#e58bb5",
    "tip": "fill:#7d8898",
    "tip.return": "fill:#e58bb5",
    "note": "stroke:#12161c",
    "marketing": "fill:#6bb3f5",
    "personal": "fill:#f0a05c",
    "silent": "fill:#a3abb8",
}
_FONTS = """\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
.label{font-size:16px;font-weight:600}.tight{font-size:12px;font-weight:600}.small{font-size:12px}.title{font-size:18px;font-weight:600}
.note{font-size:12px;paint-order:stroke;stroke-width:5px;stroke-linejoin:round}"""


def _style() -> str:
    """Return the style sheet: plain colors, which every viewer knows, and others where it is dark."""
    light, dark = ("".join(f".{name}{{{rule}}}" for name, rule in rules.items()) for rules in (_LIGHT, _DARK))
    return f"{_FONTS}\n{light}\n@media (prefers-color-scheme:dark){{{dark}}}"


@dataclass(frozen=True, slots=True)
class Arrow:
    """All moves from one stage to another, drawn as one; `lane` is how far from the stages it runs, from 1."""

    origin: int
    target: int
    moves: tuple[Move, ...]
    lane: int = 1

    @property
    def forward(self) -> bool:
        """Whether it leads to a later stage of the file."""
        return self.target > self.origin

    @property
    def reach(self) -> int:
        """How many stages it passes over."""
        return abs(self.target - self.origin)


def picture(lifecycle: Lifecycle) -> str:
    """Return the SVG."""
    arrows = _lanes(_arrows(lifecycle))
    above = max((arrow.lane for arrow in arrows if arrow.forward), default=0)
    below = max((arrow.lane for arrow in arrows if not arrow.forward), default=0)
    top = 64 + above * _LANE + 16
    width = 2 * _MARGIN + len(lifecycle.stages) * WIDTH + (len(lifecycle.stages) - 1) * _GAP
    height = top + HEIGHT + below * _LANE + 76
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"',
            f' height="{height}" role="img" aria-labelledby="lifecycle-title lifecycle-about">',
            f'<title id="lifecycle-title">{escape(lifecycle.name)}: stages and moves</title>',
            f'<desc id="lifecycle-about">{escape(" ".join(_said(lifecycle)))}</desc>',
            f"<style>{_style()}</style>",
            *_tips(),
            f'<rect class="back" width="{width}" height="{height}" rx="10"/>',
            f'<text class="ink title" x="{_MARGIN}" y="38">{escape(lifecycle.name)}</text>',
            *(line for arrow in arrows for line in _drawn(arrow, lifecycle, top)),
            *(line for place, stage in enumerate(lifecycle.stages) for line in _card(stage, place, lifecycle, top)),
            *_legend(height),
            "</svg>",
            "",
        )
    )


def _said(lifecycle: Lifecycle) -> Iterator[str]:
    for stage in lifecycle.stages:
        yield f"{stage.label}: role {stage.role}, {stage.voice} voice, owned by {stage.owner}."
    for move in lifecycle.moves:
        yield f"From {move.from_stage} to {move.to_stage}: {move.reason}."


def _arrows(lifecycle: Lifecycle) -> list[Arrow]:
    places = {stage.name: place for place, stage in enumerate(lifecycle.stages)}
    found: dict[tuple[int, int], list[Move]] = {}
    for move in lifecycle.moves:
        found.setdefault((places[move.from_stage], places[move.to_stage]), []).append(move)
    return [Arrow(origin, target, tuple(moves)) for (origin, target), moves in found.items() if origin != target]


def _lanes(arrows: Sequence[Arrow]) -> list[Arrow]:
    """Give arrows that run beside each other different lanes, the shorter ones nearer to the stages."""
    laid: list[Arrow] = []
    for arrow in sorted(arrows, key=lambda each: (each.reach, each.origin)):
        taken = {other.lane for other in laid if other.forward == arrow.forward and _overlap(other, arrow)}
        lane = next(lane for lane in range(1, len(arrows) + 1) if lane not in taken)
        laid.append(Arrow(arrow.origin, arrow.target, arrow.moves, lane))
    return laid


def _overlap(one: Arrow, other: Arrow) -> bool:
    left = max(min(one.origin, one.target), min(other.origin, other.target))
    right = min(max(one.origin, one.target), max(other.origin, other.target))
    return left < right


def _x(place: int) -> int:
    return _MARGIN + place * (WIDTH + _GAP)


def _drawn(arrow: Arrow, lifecycle: Lifecycle, top: int) -> Iterator[str]:
    """Draw an arrow: up and over for a way forward, down and under for a way back."""
    kind = "" if arrow.forward else " return"
    spread = 12 * min(arrow.lane, 7)
    if arrow.forward:
        start, end = _x(arrow.origin) + WIDTH - spread, _x(arrow.target) + spread
        edge, far = top, top - arrow.lane * _LANE
    else:
        start, end = _x(arrow.origin) + spread, _x(arrow.target) + WIDTH - spread
        edge, far = top + HEIGHT, top + HEIGHT + arrow.lane * _LANE
    toward = 14 if end > start else -14
    bend = far + (10 if arrow.forward else -10)
    path = (
        f"M{start},{edge} L{start},{bend} Q{start},{far} {start + toward},{far} "
        f"L{end - toward},{far} Q{end},{far} {end},{bend} L{end},{edge}"
    )
    middle = (start + end) // 2
    yield f"<g><title>{escape(_told(arrow, lifecycle))}</title>"
    yield f'<path class="edge{kind}" d="{path}" marker-end="url(#tip{kind.strip()})"/>'
    yield f'<text class="ink note" x="{middle}" y="{far + 4}" text-anchor="middle">{escape(_label(arrow))}</text></g>'


def _told(arrow: Arrow, lifecycle: Lifecycle) -> str:
    return "\n".join(
        f"{move.from_stage} → {move.to_stage}, {move.reason}: "
        + (say(move.when) if move.when is not None else "only by hand")
        for move in arrow.moves
    )


def _label(arrow: Arrow) -> str:
    """Return the reasons, as many as the arrow has room for."""
    room = 24 + (arrow.reach - 1) * 40
    text = " / ".join(dict.fromkeys(move.reason for move in arrow.moves))
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"


def _card(stage: Stage, place: int, lifecycle: Lifecycle, top: int) -> Iterator[str]:
    x = _x(place)
    size = "label" if len(stage.label) <= 17 else "tight"
    begins = " · begins" if stage.name == lifecycle.start else ""
    yield f"<g><title>{escape(stage.label)}: role {stage.role}, {stage.voice} voice, owned by {stage.owner}</title>"
    yield f'<rect class="card" x="{x}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    yield f'<rect class="{stage.voice}" x="{x}" y="{top}" width="6" height="{HEIGHT}" rx="3"/>'
    yield f'<text class="ink {size}" x="{x + 18}" y="{top + 30}">{escape(_short(stage.label, 26))}</text>'
    yield f'<text class="soft small" x="{x + 18}" y="{top + 52}">{stage.role}{begins}</text>'
    yield f'<text class="small {stage.voice}" x="{x + 18}" y="{top + 69}">{stage.voice} voice</text>'
    yield f'<text class="soft small" x="{x + 18}" y="{top + 86}">owned by {stage.owner}</text></g>'


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _legend(height: int) -> Iterator[str]:
    y, x = height - 22, _MARGIN
    for words, kind, wide in (("a way forward", "", 150), ("a way back", " return", 130)):
        yield f'<path class="edge{kind}" d="M{x},{y} L{x + 34},{y}" marker-end="url(#tip{kind.strip()})"/>'
        yield f'<text class="soft small" x="{x + 44}" y="{y + 4}">{words}</text>'
        x += wide


def _tips() -> Iterator[str]:
    yield "<defs>"
    for kind in ("", "return"):
        yield (
            f'<marker id="tip{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path class="tip {kind}" d="M0,0 L8,4 L0,8 z"/></marker>'
        )
    yield "</defs>"
