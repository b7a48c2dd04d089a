"""Small pieces for drawing SVG inside an HTML page; everything that comes from outside is escaped."""

from __future__ import annotations

import math
from dataclasses import dataclass

from markupsafe import Markup

Value = str | int | float


def element(tag: str, *children: str | Markup, **attributes: Value) -> Markup:
    """<tag attributes>children</tag>; `class_` becomes class, underscores hyphens, numbers short."""
    listed = Markup("").join(
        Markup(' {}="{}"').format(_attribute(name), _short(value)) for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, listed, Markup("").join(children))


def picture(width: float, height: float, title: str, *children: Markup) -> Markup:
    """An inline picture that scales with its place; the title is read by screen readers."""
    return element(
        "svg",
        element("title", title),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
    )


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    """Words at a point; anchor: start, middle or end."""
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x0: float, y0: float, x1: float, y1: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x0, y1=y0, x2=x1, y2=y1, class_=class_)


def polyline(points: list[tuple[float, float]], class_: str) -> Markup:
    """Straight lines from point to point."""
    return element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=class_)


def marker(shape: str, x: float, y: float, radius: float, class_: str) -> Markup:
    """shape: circle, square, triangle, diamond or cross, so that colour is never needed to tell."""
    if shape == "circle":
        return element("circle", cx=x, cy=y, r=radius, class_=class_)
    corners = {
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
        "triangle": ((0.0, -1.1), (1.05, 0.8), (-1.05, 0.8)),
        "diamond": ((0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)),
    }[shape]
    points = " ".join(f"{x + dx * radius:.1f},{y + dy * radius:.1f}" for dx, dy in corners)
    return element("polygon", points=points, class_=class_)


@dataclass(frozen=True)
class Scale:
    """Values low..high onto pixels start..end; values outside stop at the ends."""

    low: float
    high: float
    start_px: float
    end_px: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        return self.unbounded(min(max(value, self.low), self.high))

    def unbounded(self, value: float) -> float:
        """Pixel of a value, also outside."""
        share = (self._flat(value) - self._flat(self.low)) / (self._flat(self.high) - self._flat(self.low))
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside, about `count` of them."""
        if self.logarithmic:
            return self._decades()
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]

    def _flat(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value

    def _decades(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        return [round(value, 10) for value in values if self.low <= value <= self.high]


def frame(x: Scale, y: Scale, x_title: str, y_title: str) -> Markup:
    """Axes with ticks, grid and titles round the area of the two scales."""
    parts = [line(x.start_px, y.start_px, x.end_px, y.start_px, "axis")]
    for tick in x.ticks():
        parts.append(line(x(tick), y.start_px, x(tick), y.end_px, "grid"))
        parts.append(text(x(tick), y.start_px + 16, f"{tick:g}", "tick", "middle"))
    for tick in y.ticks():
        parts.append(line(x.start_px, y(tick), x.end_px, y(tick), "grid"))
        parts.append(text(x.start_px - 6, y(tick) + 4, f"{tick:g}", "tick", "end"))
    parts.append(text((x.start_px + x.end_px) / 2, y.start_px + 33, x_title, "label", "middle"))
    middle = (y.start_px + y.end_px) / 2
    turned = f"rotate(-90 12 {middle:g})"
    parts.append(
        element("text", y_title, x=12, y=middle, class_="label", text_anchor="middle", transform=turned)
    )
    return element("g", *parts)


def clipped(x: Scale, y: Scale, *children: Markup) -> Markup:
    """Children, drawn only inside the area of the two scales."""
    left, top = min(x.start_px, x.end_px), min(y.start_px, y.end_px)
    width, height = abs(x.end_px - x.start_px), abs(y.end_px - y.start_px)
    view = f"{left:g} {top:g} {width:g} {height:g}"
    return element("svg", *children, x=left, y=top, width=width, height=height, viewBox=view, class_="clip")


def _round_step(raw: float) -> float:
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _short(value: Value) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
