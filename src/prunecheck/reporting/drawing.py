"""A matplotlib figure that a notebook shows. Imports matplotlib, so it is imported where something is drawn."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class Drawing(Figure):
    """As any figure, but visible as the last line of a cell although nobody imported pyplot."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=120, bbox_inches="tight")
        return picture.getvalue()
