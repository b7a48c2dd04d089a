"""Finished steps and preprocessed images that all trials of a search share.

A step lies in `steps/KEY/NAME` under its key (compress.step), which covers everything that it depends on:
two trials that differ in quantization only have one training between them. Whoever comes first makes it; who
wants the same one meanwhile waits. A step that was interrupted is gone on with by the next trial that wants
it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from compress.artifact import StepOutput
from compress.ledger import Ledger, Node
from compress.lock import alone_in
from compress.progress import ProgressReporter
from compress.step import RECORD, StepPlan, StepResult, run_step
from runtime.errors import StepError

_KEY_HEX_DIGITS = 20
_LOOK_AGAIN_S = 0.2


class SharingLedger(Ledger):
    """Keeps the record of one trial; its steps come from the store, or go there."""

    def __init__(self, folder: Path, store: Path, reporter: ProgressReporter) -> None:
        super().__init__(folder, reporter)
        self._store = store

    def make(self, node: Node, plan: StepPlan, body: Callable[[Path], StepOutput]) -> StepResult:
        """As any ledger; what another trial has made counts as the step's own work here."""
        return super().make(node, plan, lambda partial: self._take(node, plan, body, partial))

    def _take(
        self, node: Node, plan: StepPlan, body: Callable[[Path], StepOutput], partial: Path
    ) -> StepOutput:
        kept = self._store / plan.key[:_KEY_HEX_DIGITS] / node.name.replace("/", "-")
        with when_free(kept.with_name("turn")):
            artifact = run_step(plan, kept, body).artifact
        # Whoever reads it may write beside it, as gates do: every trial has a copy of its own.
        shutil.copytree(kept, partial, ignore=shutil.ignore_patterns(RECORD), dirs_exist_ok=True)
        return StepOutput(
            artifact.main, artifact.format, artifact.companions, artifact.facts, artifact.status
        )


@contextmanager
def when_free(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, after whoever holds it now."""
    with ExitStack() as held:
        while not _entered(held, folder):
            time.sleep(_LOOK_AGAIN_S)
        yield


def _entered(held: ExitStack, folder: Path) -> bool:
    try:
        held.enter_context(alone_in(folder))
    except StepError:  # the one thing that it says: another process is there
        return False
    return True
