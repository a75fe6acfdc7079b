"""Which version of each model and of the articles is measured: the hash of a file, or the commit on the hub."""

from collections.abc import Iterable
from pathlib import Path

from specdec_lib import hub, xlsum
from specdec_lib.measuring.stamp import file_version
from specdec_lib.models import resolve
from specdec_lib.profiles import Profile

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def versions_of(profile: Profile, before: Iterable[dict] = ()) -> dict[str, str]:
    """The version of target, drafts and articles by name, in this order: "hub-id@commit", or the hash of local files.

    before: environments measured earlier in the same folder. What comes from the hub stays at the commit found there,
    so that a change on the hub does not void what is measured; else it is what `hub.REVISIONS` asks for.
    """
    known = {name: version for environment in before for name, version in environment.get("sources", {}).items()}
    versions = {name: _model(name, known.get(name)) for name in (profile.target, *profile.drafts)}
    source = profile.source
    if source == "hub":
        return {**versions, source: known.get(source) or f"{xlsum.HUB_NAME}@{xlsum.revision(source)}"}
    return {**versions, source: file_version(Path(xlsum.origin(source)))}


def revisions_in(versions: dict[str, str]) -> dict[str, str]:
    """The commits among versions, by name."""
    return {name: version.split("@", 1)[1] for name, version in versions.items() if "@" in version}


def _model(name: str, known: str | None) -> str:
    source = resolve(name)
    if Path(source).is_dir():
        files = sorted(file for pattern in WEIGHTS for file in Path(source).glob(pattern))
        return "-".join(map(file_version, files)) or "no weights"
    if known and known.startswith(f"{source}@"):
        return known
    return f"{source}@{hub.commit(source)}"
