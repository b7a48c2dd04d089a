from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.aside import begin


def test_without_an_executor_the_one_who_waits_does_the_work() -> None:
    assert begin(None, threading.get_ident)() == threading.get_ident()


def test_an_executor_with_time_does_it() -> None:
    begun = threading.Event()

    def work() -> int:
        begun.set()
        return threading.get_ident()

    with ThreadPoolExecutor(1) as executor:
        wait = begin(executor, work)
        assert begun.wait(10)
        assert wait() != threading.get_ident()


def test_what_a_busy_executor_has_not_begun_is_done_by_the_one_who_waits() -> None:
    release = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(release.wait, 10)
        try:
            assert begin(executor, threading.get_ident)() == threading.get_ident()
        finally:
            release.set()


def test_what_goes_wrong_aside_is_raised_where_the_result_is_wanted() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError):
        begin(executor, lambda: 1 // 0)()
