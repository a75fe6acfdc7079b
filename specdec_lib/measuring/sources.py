"""Which version of each model and of the articles is measured: the hash of a file, or the commit on the hub."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from specdec_lib import hub, xlsum
from specdec_lib.measuring.stamp import file_version
from specdec_lib.models import resolve
from specdec_lib.paths import possible
from specdec_lib.profiles import Profile

ARTICLES = "articles"
CHECKPOINT = ("config.json", "*.safetensors", "pytorch_model*.bin", "tokenizer.json")
"""The files of a local checkpoint that decide what it writes."""


def versions_of(profile: Profile, before: Iterable[dict] = ()) -> dict[str, str]:
    """The version of target, drafts and articles by name, in this order: "hub-id@commit", or the hash of local files.

    before: environments measured earlier in the same folder. What comes from the hub stays at the commit found there,
    so that a change on the hub does not void what is measured; else it is what `hub.REVISIONS` asks for.
    """
    known = {name: version for environment in before for name, version in environment.get("sources", {}).items()}
    versions = {name: _model(name, known.get(name)) for name in (profile.target, *profile.drafts)}
    return {**versions, ARTICLES: _articles(profile.source, known.get(ARTICLES))}


def revisions_in(versions: dict[str, str]) -> dict[str, str]:
    """The commits among versions, by name."""
    return {name: version.split("@", 1)[1] for name, version in versions.items() if "@" in version}


def _model(name: str, known: str | None) -> str:
    source = resolve(name)
    if Path(source).is_dir():
        files = [file for pattern in CHECKPOINT for file in sorted(Path(source).glob(pattern))]
        return hashlib.sha256("".join(map(file_version, files)).encode()).hexdigest()[:12]
    if known and known.startswith(f"{source}@") and source not in hub.REVISIONS:
        return known
    return f"{source}@{hub.commit(source)}"


def _articles(source: str, known: str | None) -> str:
    if source != "hub":
        file = Path(xlsum.origin(source))
        if not (possible(file) and file.is_file()):
            raise ValueError(f"There is no file {source!r} of articles: give the path of one (--source FILE).")
        return file_version(file)
    if known and known.startswith(f"{xlsum.HUB_NAME}@"):
        return known
    return f"{xlsum.HUB_NAME}@{xlsum.revision(source)}"
