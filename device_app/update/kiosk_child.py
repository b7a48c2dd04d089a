"""Tests and tidies the engines that a box builds for itself, in a process that is the kiosk's user.

Not root: the store is the kiosk's, whoever can write there can sign an engine, and an engine is code that
the process which loads it runs. As that user it is also shown that the kiosk itself reaches the GPU. The
bundle is opened by the digest that the parent has checked.
"""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from device_app.update.state import KioskUser
from runtime import box_key, child, strict
from runtime.bundle import Bundle, open_pinned
from runtime.device_engine import DeviceOptions
from runtime.engine_store import EngineStore, Held
from runtime.golden import EngineResult
from runtime.selftest import SelfTestPlan, run
from runtime.trt_build.progress import BuildProgress, Listener, telling

_PR_SET_PDEATHSIG = 1
_NICENESS = 15  # a kiosk that is at work (10) comes first
_KEPT_VARIABLES = ("LANG", "LC_ALL", "PATH", "TZ")
_LOCK_S = 5.0


@dataclass(frozen=True)
class Examine:
    """Test these entries of a bundle, and build what is not there. pipe: where progress is told.

    timeout_s: of each test. build_s: of each build.
    """

    root: str
    digest: str
    signed_by: str
    keys: tuple[str, ...]
    pipe: str
    timeout_s: float
    build_s: float


@dataclass(frozen=True)
class Question:
    """What the child is told: as whom it works, in which store, and one thing to do.

    keep: digests of the models whose engines stay when the store is tidied.
    """

    user: KioskUser
    store: str
    examine: Examine | None = None
    keep: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """results: of the entries that were to be tested, in their order. removed: engines, by tidying."""

    results: tuple[EngineResult, ...] = ()
    removed: int = 0


def main() -> None:
    """The child: a Question in, an Answer out."""
    child.answer(lambda asked: dataclasses.asdict(_reply(strict.build(Question, asked, "question"))))


def _reply(question: Question) -> Answer:
    os.nice(_NICENESS)
    if question.examine is None:
        _become(question.user)
        return Answer(removed=_tidy(Path(question.store), frozenset(question.keep)))
    with telling(Path(question.examine.pipe)) as say:  # opened first: the pipe is the parent's
        _become(question.user)
        return Answer(_examine(question.examine, Path(question.store), say))


def _become(user: KioskUser) -> None:
    """Be that user for good, with the groups and the environment that systemd gives to the kiosk."""
    os.umask(0o077)
    if os.geteuid() == user.uid:
        return
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept, HOME=user.home, USER=user.name, LOGNAME=user.name, PYTHONDONTWRITEBYTECODE="1")
    # The kernel forgets with the old user that this process is to end with its parent.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _examine(asked: Examine, store: Path, say: Listener) -> tuple[EngineResult, ...]:
    bundle = open_pinned(Path(asked.root), asked.digest, asked.signed_by)
    return tuple(_examine_one(bundle, key, asked, store, say) for key in asked.keys)


def _examine_one(bundle: Bundle, key: str, asked: Examine, store: Path, say: Listener) -> EngineResult:
    def pass_on(now: BuildProgress) -> None:
        say(dataclasses.replace(now, parent=now.parent or key))

    done = asked.keys.index(key)
    say(BuildProgress(key, "", done, len(asked.keys)))
    device = DeviceOptions(timeout_s=asked.build_s)
    plan = SelfTestPlan(timeout_s=asked.timeout_s, engines=store, device=device, building=pass_on)
    (result,) = run(bundle, plan=plan, keys=(key,))
    say(BuildProgress(key, "", done + 1, len(asked.keys), ended=True))
    return result


def _tidy(root: Path, models: frozenset[str]) -> int:
    """Remove the engines of other models; what a process has loaded stays, and so do timings of kernels."""
    if not box_key.is_there(root):
        return 0
    store = EngineStore(root, limit_bytes=0)
    with store.locked(_LOCK_S):
        keep = frozenset(item.path.name for item in store.held() if _stays(item, models))
        return len(store.prune(keep))


def _stays(item: Held, models: frozenset[str]) -> bool:
    is_timing = item.record is None and not item.problem
    return is_timing or (item.record is not None and item.record.key.model_sha256 in models)


if __name__ == "__main__":
    main()
