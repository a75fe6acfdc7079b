"""Figures on disk and in a notebook: small PNG and PDF files, the same bytes for the same rows."""

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from specdec_lib.figures.picture import Picture
from specdec_lib.figures.style import styled
from specdec_lib.language import current

DPI = 120
COLOURS = 96
"""Of a PNG's palette: lines and letters have few, and their soft edges shades of them."""


@dataclass(frozen=True)
class Shown:
    """A figure as a notebook keeps it: an image with alt text, or the alt text alone. width: in pixels."""

    png: bytes
    alt: str
    width: int
    lang: str

    def html(self) -> str:
        style = "max-width:100%;height:auto;background:#fff"
        source = f"data:image/png;base64,{b64encode(self.png).decode()}"
        words = f'alt="{escape(self.alt)}" lang="{self.lang}"'
        return f'<img {words} width="{self.width}" style="{style}" src="{source}">'

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        return {"text/html": self.html(), "text/plain": self.alt}


def show(figure: Picture) -> Shown:
    """For the last line of a notebook cell."""
    return Shown(png(figure), figure.alt, round(96 * figure.get_figwidth()), current())


def save(figure: Picture, path: Path) -> None:
    """Write a PNG and, beside it, a PDF with its fonts in it; both hold title and alt text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure))
    path.with_suffix(".pdf").write_bytes(pdf(figure))


@styled
def png(figure: Picture) -> bytes:
    """A PNG of few colours."""
    drawn, written = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    words = PngInfo()
    for name, text in (("Title", figure.takeaway), ("Description", figure.alt)):
        words.add_itxt(name, text, lang=current())
    image = Image.open(drawn).convert("RGB")
    image = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(written, "png", optimize=True, pnginfo=words, dpi=(DPI, DPI))
    return written.getvalue()


@styled
def pdf(figure: Picture) -> bytes:
    """A PDF without a date."""
    written = BytesIO()
    told = {"Title": figure.takeaway, "Subject": figure.alt, "Creator": None, "Producer": None, "CreationDate": None}
    figure.savefig(written, format="pdf", metadata=told)
    return written.getvalue()
