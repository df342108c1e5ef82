"""Where everything lies in a store, and the HTTP headers it is stored and served with."""

from __future__ import annotations

import mimetypes
import re
from enum import StrEnum
from urllib.parse import quote

from packaging.utils import NormalizedName

from wheelbuilder.errors import ConfigurationError

DEFAULT_CHANNEL = "stable"
CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
# A wheel's name becomes a key, a path and a link: only what the wheel specification allows in one.
WHEEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", re.ASCII)
JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "text/html"  # exactly: pip before 22.2 takes nothing else
BLOB_TYPE = "application/octet-stream"
MARKS_KEY = "prune.json"  # what a prune is about to delete

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
NEVER_STORED = "no-store"


class View(StrEnum):
    """A page tree of a channel, by the name of its folder."""

    GAP = "simple"
    GAP_JSON = "json"
    WHOLE = "whole"
    WHOLE_JSON = "whole-json"

    @property
    def is_json(self) -> bool:
        """Whether its pages are JSON (PEP 691) rather than HTML (PEP 503)."""
        return self in (View.GAP_JSON, View.WHOLE_JSON)

    @property
    def is_gap(self) -> bool:
        """Whether it lists our files only."""
        return self in (View.GAP, View.GAP_JSON)

    @property
    def content_type(self) -> str:
        """What its pages are stored and served as."""
        return JSON_TYPE if self.is_json else HTML_TYPE


def check_channel(channel: str) -> str:
    """Return the channel's name, or raise ConfigurationError where it cannot be one."""
    if not CHANNEL.fullmatch(channel):
        raise ConfigurationError(
            f"{channel!r} is not a channel name.",
            "Use lower-case letters, digits, '.', '_' and '-', such as stable or stable-2025.2.",
        )
    return channel


def blob_key(sha256: str, filename: str) -> str:
    """Return the key of a published file."""
    return f"files/{sha256}/{filename}"


def blob_keys(key: str) -> tuple[str, ...]:
    """Return the keys of a published file and of what may lie beside it."""
    return tuple(f"{key}{ending}" for ending in ("", ".metadata", ".provenance"))


def offer_key(channel: str) -> str:
    """Return the key of what is remembered of the last offer that left a channel as it is."""
    return f"offers/{channel}.json"


def experience_key(channel: str) -> str:
    """Return the key of what is remembered of a channel's builds: failures and costs."""
    return f"experience/{channel}.json"


def state_key(digest: str) -> str:
    """Return the key of a project state."""
    return f"states/{digest}.json"


def head_key(channel: str) -> str:
    """Return the key whose change publishes."""
    return f"channels/{channel}/head.json"


def commit_key(channel: str, number: int) -> str:
    """Return the key under which a commit is kept, which says that the pages are complete up to it."""
    return f"{commits_prefix(channel)}{number}.json"


def commits_prefix(channel: str) -> str:
    """Return what the keys of a channel's commits begin with."""
    return f"channels/{channel}/commits/"


def page_key(channel: str, view: View, project: NormalizedName | None = None) -> str:
    """Return the key of a project's page, or of the view's root page."""
    return "/".join(("channels", channel, view, *([project] if project else []), "index.html"))


def snapshots_key(channel: str) -> str:
    """Return the key of the list of a channel's snapshots."""
    return f"channels/{channel}/snapshots.json"


def snapshots_prefix(channel: str) -> str:
    """Return what the keys of the pages of all of a channel's snapshots begin with."""
    return f"channels/{channel}/snapshots/"


def snapshot_prefix(channel: str, number: int) -> str:
    """Return what the keys of a snapshot's pages begin with."""
    return f"{snapshots_prefix(channel)}{number}/"


def snapshot_page_key(channel: str, number: int, view: View, project: NormalizedName | None = None) -> str:
    """Return the key of a project's page in a snapshot, or of the view's root page there."""
    return snapshot_prefix(channel, number) + "/".join((view, *([project] if project else []), "index.html"))


def content_type(key: str) -> str:
    """Return the type a key is stored and served as; pages have exact ones, which clients insist on."""
    parts = key.split("/")
    if parts[0] == "files" or key.endswith(".gz"):
        return BLOB_TYPE
    if parts[0] == "channels" and parts[-1] == "index.html":
        json_tree = any(part in (View.GAP_JSON, View.WHOLE_JSON) for part in _above_project(parts))
        return JSON_TYPE if json_tree else HTML_TYPE
    return mimetypes.guess_type(key)[0] or BLOB_TYPE


def cache_control(key: str) -> str:
    """Return how long a key may be kept by caches."""
    parts = key.split("/")
    if parts[0] in ("files", "states", "logs", "sdists") or parts[2:3] in (["commits"], ["snapshots"]):
        return IMMUTABLE
    return NEVER_STORED if parts[-1] in ("head.json", "snapshots.json", MARKS_KEY) else REVALIDATE


def record_key(build_key: str) -> str:
    """Return the key of the record of a build."""
    return f"records/{build_key}.json"


def run_key(run: str) -> str:
    """Return the key of the record of a run."""
    return f"runs/{run}.json"


def relative_url(key: str, depth: int) -> str:
    """Return a percent-encoded link to a key from a page `depth` folders below the root."""
    return "../" * depth + quote(key, safe="/")


def _above_project(parts: list[str]) -> list[str]:
    # channels/<c>/<view>/[<project>/]index.html, or the same below snapshots/<number>/: a project may
    # itself be called "json", so only the place where a view's name can stand is looked at.
    below = parts[2:-1]
    return below[2:3] if below[:1] == ["snapshots"] else below[:1]
