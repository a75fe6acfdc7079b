"""A generation as a notebook or a web page shows it."""

from dataclasses import dataclass
from pathlib import Path

from specdec_lib.decoders import Generation
from specdec_lib.traces import to_html, to_svg, to_text


@dataclass(frozen=True)
class Trace:
    """A generation to be looked at. plain: the same text by plain decoding, to set the time beside."""

    generation: Generation
    plain: Generation | None = None
    lang: str | None = None

    def html(self) -> str:
        return to_html(self.generation)

    def save(self, path: str | Path) -> Path:
        """Write the page, and the folder it belongs in."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'<!doctype html>\n<meta charset="utf-8">\n{self.html()}\n', encoding="utf-8")
        return path

    def _repr_mimebundle_(self, **formats) -> dict[str, str]:
        text = to_text(self.generation, colour=False)
        return {"text/html": self.html(), "image/svg+xml": to_svg(self.generation), "text/plain": text}
