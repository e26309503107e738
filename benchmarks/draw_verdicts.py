"""Draw docs/figures/verdicts.svg: the three answers as intervals against the margin.

python benchmarks/draw_verdicts.py
"""

from __future__ import annotations

from pathlib import Path

MARGIN = 0.84
RULED = [
    (1.7, 2.3, 2.9, "DEPENDS", "it costs more than the margin: the check is passed", "#1b7837"),
    (-0.31, -0.05, 0.22, "DOES NOT DEPEND", "it costs less than the margin: the check is failed", "#b2182b"),
    (-1.9, -1.5, -1.1, "DOES NOT DEPEND", "it even helps: the check is failed", "#b2182b"),
    (-0.6, 0.4, 1.4, "INCONCLUSIVE", "both are possible: more seeds", "#555555"),
    (0.3, 1.3, 2.3, "INCONCLUSIVE", "it hurts, but how much is unclear", "#555555"),
]
LEFT, TOP, ROW, SCALE = 190, 46, 46, 56
WIDTH, HEIGHT = 880, TOP + ROW * len(RULED) + 40


def x(points: float) -> float:
    """Horizontal place of a drop in points."""
    return LEFT + (points + 2.3) * SCALE


def text(at: float, y: float, words: str, style: str = 'fill="#555"') -> str:
    """One piece of text."""
    return f'<text x="{at:.0f}" y="{y:.0f}" {style}>{words}</text>'


def line(x1: float, x2: float, y1: float, y2: float, style: str) -> str:
    """One line."""
    return f'<line x1="{x1:.0f}" x2="{x2:.0f}" y1="{y1:.0f}" y2="{y2:.0f}" {style}/>'


def draw() -> str:
    """The figure as SVG text."""
    bottom = TOP + ROW * len(RULED)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="14" role="img" aria-label="Verdicts as intervals of the mean drop against the margin">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<rect x="{x(-2.3):.0f}" y="{TOP}" width="{x(MARGIN) - x(-2.3):.0f}" height="{bottom - TOP}" fill="#f3f3f3"/>',
        text(x(-2.2), TOP - 10, "too small to matter"),
        text(x(MARGIN) + 8, TOP - 10, "worth talking about"),
        line(x(0), x(0), TOP, bottom, 'stroke="#bbb"'),
        line(x(MARGIN), x(MARGIN), TOP, bottom, 'stroke="black" stroke-dasharray="5 4"'),
    ]
    for number, (low, mean, high, answer, meaning, colour) in enumerate(RULED):
        y = TOP + ROW * (number + 0.5)
        parts += [
            text(LEFT - 14, y + 5, answer, f'text-anchor="end" font-weight="bold" fill="{colour}"'),
            line(x(low), x(high), y, y, f'stroke="{colour}" stroke-width="4"'),
            f'<circle cx="{x(mean):.0f}" cy="{y:.0f}" r="6" fill="{colour}"/>',
            text(x(3.2), y + 5, meaning, 'fill="#333"'),
        ]
    parts += [text(x(tick), bottom + 18, str(tick), 'text-anchor="middle" fill="#555"') for tick in range(-2, 4)]
    parts += [
        text(x(MARGIN), bottom + 34, f"margin {MARGIN}", 'text-anchor="middle"'),
        text(x(3.2), bottom + 18, "mean drop, points of accuracy"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "figures" / "verdicts.svg").write_text(draw(), encoding="utf-8")
