"""Every page tells how long the disk lasts, and none waits until that has been worked out again."""

from __future__ import annotations

import threading

import pytest

from device_app import outlook as outlook_module
from device_app.outlook import Outlook, OutlookKeeper
from device_app.store import Store
from tests.device_app.conftest import wait_until


class Slow:
    """In place of the look: one that lasts as long as the test wants, and counts."""

    def __init__(self) -> None:
        self.looks, self.may_end, self.days = 0, threading.Event(), 9.0
        self.may_end.set()

    def __call__(self, _store: Store, _reserve_bytes: int, keep_days: int) -> Outlook:
        self.looks += 1
        days = self.days
        assert self.may_end.wait(30)
        return Outlook(days + keep_days)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    look = Slow()
    monkeypatch.setattr(outlook_module, "outlook", look)
    return look


def test_a_page_shows_the_last_outlook_while_the_next_is_worked_out_once(
    store: Store, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = OutlookKeeper(store, 0)
    assert keeper.now(0).whole_days == 9
    monkeypatch.setattr(outlook_module, "_EVERY_S", 0.0)
    slow.may_end.clear()
    slow.days = 5.0
    assert [keeper.now(0).whole_days for _ in range(3)] == [9, 9, 9]
    monkeypatch.setattr(outlook_module, "_EVERY_S", 300.0)
    slow.may_end.set()
    wait_until(lambda: keeper.now(0).whole_days == 5)
    assert slow.looks == 2


def test_a_page_is_made_where_no_further_thread_can_be_started_and_the_next_asks_again(
    store: Store, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    keeper = OutlookKeeper(store, 0)
    keeper.now(0)
    monkeypatch.setattr(outlook_module, "_EVERY_S", 0.0)
    slow.days = 5.0
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert keeper.now(0).whole_days == 9
    wait_until(lambda: keeper.now(0).whole_days == 5)


def test_another_rule_is_shown_by_the_page_that_made_it(
    store: Store, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = OutlookKeeper(store, 0)
    keeper.now(0)
    monkeypatch.setattr(outlook_module, "_EVERY_S", 0.0)
    slow.may_end.clear()
    keeper.now(0)
    monkeypatch.setattr(outlook_module, "_EVERY_S", 300.0)
    wait_until(lambda: slow.looks == 2)
    slow.may_end.set()
    assert keeper.now(90).whole_days == 99
    wait_until(lambda: not keeper._is_looking)
    assert keeper.now(90).whole_days == 99, "what was worked out under the other rule is not shown"
