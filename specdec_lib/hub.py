"""How files come from the Hugging Face hub: by its own client, with the cache, token and settings the user gave it."""

import errno
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from specdec_lib import weights

REVISIONS: dict[str, str] = {}
"""Hub id -> the branch, tag or commit that is loaded where none is asked for; "main" where it is absent."""

DESCRIPTION = [
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "chat_template*",
]
"""What a checkpoint is made of beside its weights."""

INSTEAD = {
    "model": "use an embedded model (mini-target and its drafts, --profile mini)",
    "dataset": "give a copy of it (--source FILE), or use the embedded articles",
}
"""What works without the hub."""


class Absent(ValueError):
    """The hub answered that it has no such revision or file."""


def pinned(hub_id: str, revision: str | None = None) -> str:
    """The revision asked for, else the table's, else "main"."""
    return revision or REVISIONS.get(hub_id, constants.DEFAULT_REVISION)


def fetch(hub_id: str, name: str, revision: str | None = None, kind: str = "model") -> Path:
    """One file of a repository, in the hub's cache.

    kind: "model" or "dataset". Raises Absent where the revision or the file doesn't exist, ValueError for every other
    failure.
    """
    revision = pinned(hub_id, revision)
    for _ in range(2):
        fresh = cached(hub_id, name, revision, kind) is None
        with _explained(hub_id, kind):
            path = Path(hf_hub_download(hub_id, name, repo_type=kind, revision=revision))
        if not (fresh and _damaged(path)):
            return path
        _delete(path)
    raise ValueError(_damage(hub_id, kind))


def cached(hub_id: str, name: str, revision: str | None = None, kind: str = "model") -> Path | None:
    """The file where it is in the cache already; the hub isn't asked."""
    with _explained(hub_id, kind):
        path = try_to_load_from_cache(hub_id, name, revision=pinned(hub_id, revision), repo_type=kind)
    return Path(path) if isinstance(path, str) else None


def commit(hub_id: str, revision: str | None = None, kind: str = "model", file: str = "config.json") -> str:
    """The commit that a revision stands for: the hub's, or the cache's where the hub can't be reached.

    file: one that every revision of interest has. Raises as `fetch` does.
    """
    return commit_of(fetch(hub_id, file, revision, kind), file)


def commit_of(path: Path, name: str) -> str:
    """The commit of a file in the cache, of which name is the path in its repository."""
    return path.parents[name.count("/")].name


def checkpoint(hub_id: str, revision: str | None = None, pickled: bool = False) -> tuple[Path, str]:
    """The folder of a complete checkpoint in the hub's cache, and its commit.

    pickled: take weights in PyTorch's pickled form where there are none in safetensors.
    Raises ValueError, saying what to do, where the checkpoint can't be had whole.
    """
    found = commit(hub_id, revision)
    folder = _snapshot(hub_id, found, weights.SAFETENSORS)
    if folder is None and pickled:
        folder = _snapshot(hub_id, found, weights.PICKLED)
    if folder is None:
        with _explained(hub_id):
            files = HfApi().list_repo_files(hub_id, revision=found)
        if pickled or not any(Path(name).match(pattern) for name in files for pattern in weights.PICKLED):
            raise ValueError(f"The hub's model {hub_id} has no weights that transformers loads: choose another model.")
        raise ValueError(weights.only_pickled(f"The hub's model {hub_id}"))
    return folder, found


def explain(error: BaseException, hub_id: str, kind: str = "model") -> str:
    """One sentence for a failure of the hub's client: what is wrong, and what to do."""
    what = f"the {kind} {hub_id}"
    causes = list(_causes(error))
    status = next((cause.response.status_code for cause in causes if isinstance(cause, HfHubHTTPError)), 0)
    codes = {cause.errno for cause in causes if isinstance(cause, OSError)}
    reason = _line(causes[-1])

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if among(GatedRepoError):
        return f"The hub gives {what} to those who accepted its terms: accept them on its page, then `hf auth login`."
    if among(RepositoryNotFoundError):
        return (
            f"There is no {kind} {hub_id!r} on the hub, or it is private: check the name (`specdec models` lists the "
            "known ones), or log in with `hf auth login`."
        )
    if among(RevisionNotFoundError):
        return f"The hub's {kind} {hub_id} has no such revision: give a branch, a tag or a commit that is there."
    if among(RemoteEntryNotFoundError):
        name = str(causes[-1].request.url.path).rpartition("/")[2] if hasattr(causes[-1], "request") else "a file"
        return f"The hub's {kind} {hub_id} lacks {name}: choose another revision or {kind}."
    if status == 401:
        return f"The hub refuses this machine's token for {what}: log in again with `hf auth login`."
    if status == 403:
        return f"The hub forbids {what} to this token: accept its terms, or log in with a token that may read it."
    if status == 429:
        return f"The hub takes no more requests for a while (429) for {what}: wait some minutes and try again."
    if status >= 500:
        return f"The hub fails at {what} ({status}): try again later, or {INSTEAD[kind]}."
    if codes & {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk of {constants.HF_HUB_CACHE} is too full for {what}: free some, or set HF_HUB_CACHE."
    if codes & {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{constants.HF_HUB_CACHE} may not be written ({reason}): mend its permissions, or set HF_HUB_CACHE."
    if among(FileMetadataError, json.JSONDecodeError):
        return f"What answers at {constants.ENDPOINT} is not a hub: check HF_ENDPOINT, the proxy and the network."
    if among(HFValidationError):
        return f"The hub allows no name such as {hub_id!r}: check the name, or list known ones with `specdec models`."
    if "Consistency check" in reason:
        return f"A file of {what} came with another size than the hub's: try again."
    if among(OfflineModeIsEnabled):
        return (
            f"{_capital(what)} is not, or not whole, on this machine and HF_HUB_OFFLINE keeps from the hub: unset it "
            f"and connect to the network, or {INSTEAD[kind]}."
        )
    if any(type(cause).__name__ in ("RemoteProtocolError", "ReadError", "ReadTimeout") for cause in causes):
        return f"The connection to the hub broke at {what} ({reason}): try again; files that are whole are kept."
    if among(HTTPError, LocalEntryNotFoundError):
        return (
            f"{_capital(what)} is not, or not whole, on this machine and the hub can't be reached ({reason}): "
            f"connect to the network and try again, or {INSTEAD[kind]}."
        )
    return f"{_capital(what)} can't be had from the hub ({reason}): try again, or {INSTEAD[kind]}."


@contextmanager
def _explained(hub_id: str, kind: str = "model") -> Iterator[None]:
    try:
        yield
    except Exception as error:
        absent = isinstance(error, RevisionNotFoundError | RemoteEntryNotFoundError)
        raise (Absent if absent else ValueError)(explain(error, hub_id, kind)) from error


def _snapshot(hub_id: str, found: str, patterns: list[str]) -> Path | None:
    """The folder of that commit, complete and its new weights compared with their checksums; None without weights."""
    for _ in range(2):
        before = cached(hub_id, "config.json", found)
        here = before is not None and weights.complete(before.parent, patterns)
        with _explained(hub_id), _no_bars(here):
            folder = Path(snapshot_download(hub_id, revision=found, allow_patterns=[*DESCRIPTION, *patterns]))
        files = weights.find(folder, f"The model {hub_id}", patterns)
        damaged = [] if here else [file for file in files if _damaged(file)]
        if not damaged:
            return folder if files else None
        for path in damaged:
            _delete(path)
    raise ValueError(_damage(hub_id, "model"))


@contextmanager
def _no_bars(wanted: bool) -> Iterator[None]:
    """No progress bars for what is here already."""
    change = wanted and not are_progress_bars_disabled()
    if change:
        disable_progress_bars()
    try:
        yield
    finally:
        if change:
            enable_progress_bars()


def _damaged(path: Path) -> bool:
    """Whether a file's SHA-256 is not the one it is named by in the cache, as large files are."""
    blob = path.readlink().name if path.is_symlink() else ""
    if not re.fullmatch("[0-9a-f]{64}", blob):
        return False
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() != blob


def _delete(path: Path) -> None:
    """Take a file out of the cache, the blob and the link to it."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _damage(hub_id: str, kind: str) -> str:
    return (
        f"A file of the {kind} {hub_id} came damaged twice (its SHA-256 is not the hub's): "
        "check the disk and the proxy, and try again."
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
