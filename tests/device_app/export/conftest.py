"""A store with consented pictures, and an export that an administrator has looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from device_app.config import KioskConfig
from device_app.export.exports import Exports
from device_app.readings import Draft
from device_app.store import Store
from device_app.store.consent import Consents


@dataclass
class Site:
    """A kiosk's store with an export on it."""

    config: KioskConfig
    store: Store
    exports: Exports
    receive: Callable[..., Any]
    work_off: Callable[[], int]

    def agreed(self, data: bytes, name: str = "a.png", label: str = "") -> str:
        """A picture that is read and whose patient agrees; its examination."""
        public_id = self.receive(data, name, label).public_id
        self.work_off()
        Consents(self.store.database).give(public_id, "box")
        return str(public_id)

    def say(self, examination: str, draft: Draft, actor: str = "reader") -> None:
        """What somebody judges."""
        self.store.readings.add(examination, draft, actor, lambda _: "none")

    def looked_at(self) -> list[int]:
        """An administrator looks at all and lets go what may leave; those that leave."""
        self.exports.look()
        self.exports.wait(60)
        for image_id in self.exports.consents.image_ids():
            self.exports.picture(image_id, "small", "admin")
            shown = self.exports.seen.get(image_id)
            assert shown is not None
            self.exports.seen.decide(image_id, shown.pixels_sha256, True, "admin")
        return sorted(self.exports.seen.leaving())

    def fetched(self, folder: Path) -> Path:
        """An export to a zip, unpacked; its folder."""
        import zipfile

        assert self.exports.start("admin", None)
        self.exports.wait(60)
        ready = self.exports.zip.get()
        assert ready is not None, self.exports.state
        with zipfile.ZipFile(ready.path) as file:
            file.extractall(folder)
        return folder / ready.path.stem


@pytest.fixture
def site(config: KioskConfig, store: Store, receive: Any, work_off: Any) -> Site:
    return Site(config, store, Exports(config, store), receive, work_off)


def cases_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of cases.jsonl."""
    lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
