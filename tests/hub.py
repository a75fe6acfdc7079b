"""A model hub on the loopback address: what huggingface_hub asks for, answered from folders, with faults on demand.

`python tests/hub.py FOLDER` serves FOLDER/models/owner/name and FOLDER/datasets/owner/name; a folder "name@revision"
is another revision, "%2F" for each slash in its name.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from threading import Lock, Thread
from typing import NamedTuple
from urllib.parse import unquote, urlparse

CONVERTED = "refs/convert/parquet"
LARGE = (".safetensors", ".bin", ".parquet", ".bz2")
"""Files that go by their SHA-256, as git LFS names them; others by git's own name."""


@dataclass
class Fault:
    """What goes wrong with requests for paths with this part.

    status and headers: an error instead. dropped_after: the connection breaks so many bytes on. wrong: the last byte is
    another. short: it is missing. command: GET or HEAD, None for both. times: how often.
    """

    part: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    dropped_after: int | None = None
    wrong: bool = False
    short: bool = False
    command: str | None = "GET"
    times: float = inf


class Request(NamedTuple):
    command: str
    path: str
    range: str | None


@dataclass
class Hub:
    """Folders by (kind, id, revision), kind "models" or "datasets"; what goes wrong; what was asked for, in order."""

    folders: dict[tuple[str, str, str], Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    endpoint: str = ""
    lock: Lock = field(default_factory=Lock)

    def strike(self, command: str, path: str) -> Fault | None:
        """The fault that meets a request, used up by one."""
        with self.lock:
            for fault in self.faults:
                if fault.part in path and fault.command in (command, None) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def revisions(self, kind: str, repository: str) -> dict[str, Path]:
        """Folders by revision and by commit."""
        own = {name: folder for (*owner, name), folder in self.folders.items() if owner == [kind, repository]}
        return {commit(folder): folder for folder in own.values()} | own

    def downloads(self, end: str) -> list[str | None]:
        """The ranges of every GET for a path of that end."""
        return [asked.range for asked in self.requests if asked.command == "GET" and asked.path.endswith(end)]


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def commit(folder: Path) -> str:
    """A name as long as git's, which changes with what is in the folder."""
    digest = hashlib.sha1()
    for file in files(folder):
        digest.update(file.encode() + (folder / file).read_bytes())
    return digest.hexdigest()


def etag(file: Path) -> str:
    content = file.read_bytes()
    if file.name.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving(hub: Hub, port: int = 0) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def log_message(self, *_) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlparse(self.path).path).lstrip("/")
        self.hub.requests.append(Request(self.command, path, self.headers.get("Range")))
        fault = self.hub.strike(self.command, path)
        if fault and fault.status:
            return self._send(fault.status, b"", fault.headers)
        api = path.startswith("api/")
        if api and not path.startswith(("api/models/", "api/datasets/")):
            return self._missing("NotServed")
        kind, repository, what, rest = _parts(path.removeprefix("api/"), api)
        revisions = self.hub.revisions(kind, repository)
        if not revisions:
            return self._missing("RepoNotFound")
        revision, file = (CONVERTED, rest[len(CONVERTED) + 1 :]) if rest.startswith(CONVERTED) else _cut(rest)
        if revision not in revisions:
            return self._missing("RevisionNotFound")
        folder = revisions[revision]
        if api:
            return self._json(_tree(folder) if what == "tree" else _info(repository, folder))
        if file not in files(folder):
            return self._missing("EntryNotFound", {"X-Repo-Commit": commit(folder)})
        return self._file(folder / file, commit(folder), fault)

    def _file(self, file: Path, name: str, fault: Fault | None) -> None:
        content = file.read_bytes()
        headers = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": name, "Accept-Ranges": "bytes"}
        if file.name.endswith(LARGE):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(content))}
        if fault and fault.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        if fault and fault.short:
            content = content[:-1]
        status, begin = 200, 0
        if wanted := self.headers.get("Range"):
            begin = int(wanted.removeprefix("bytes=").split("-")[0])
            status, headers["Content-Range"] = 206, f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._send(status, content[begin:], headers, fault.dropped_after if fault else None)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _missing(self, code: str, headers: dict[str, str] | None = None) -> None:
        self._send(404, b"", {"X-Error-Code": code, **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str], dropped_after: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content[:dropped_after])
        if dropped_after is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)


def _info(repository: str, folder: Path) -> dict:
    siblings = [{"rfilename": file} for file in files(folder)]
    return {"id": repository, "sha": commit(folder), "siblings": siblings, "private": False, "tags": []}


def _tree(folder: Path) -> list[dict]:
    entries = []
    for name in files(folder):
        file = folder / name
        size = file.stat().st_size
        entry = {"type": "file", "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()}
        entries.append(entry)
        if file.name.endswith(LARGE):
            entry["lfs"] = {"oid": etag(file), "size": size, "pointerSize": 130}
    return entries


def _parts(path: str, api: bool) -> tuple[str, str, str, str]:
    """Kind, id, what is asked, and the rest, of models/o/n/what/rest in the API or [datasets/]o/n/resolve/rest."""
    words = path.split("/")
    kind = "models"
    if api or words[0] == "datasets":
        kind, *words = words
    owner, name, what, *rest = [*words, "revision"] if len(words) == 2 else words
    return kind, f"{owner}/{name}", what, "/".join(rest) or "main"


def _cut(rest: str) -> tuple[str, str]:
    """Revision and file."""
    revision, _, file = rest.partition("/")
    return revision, file


def tree(root: Path) -> dict[tuple[str, str, str], Path]:
    """The folders of a tree kind/owner/name[@revision], as a hub serves them."""
    found = {}
    for folder in filter(Path.is_dir, root.glob("*/*/*")):
        kind, owner, name = folder.relative_to(root).parts
        name, _, revision = name.partition("@")
        found[kind, f"{owner}/{name}", unquote(revision) or "main"] = folder
    return found


if __name__ == "__main__":
    with serving(Hub(tree(Path(sys.argv[1])))) as hub:
        print(f"HF_ENDPOINT={hub.endpoint}  # serves {len(hub.folders)} revisions until Enter is pressed")
        input()
