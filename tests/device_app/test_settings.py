from __future__ import annotations

import pytest

from device_app.settings import Settings, SiteSettings
from device_app.store import Store
from device_app.store.models import Setting
from runtime.errors import InputError


def test_a_new_box_has_what_the_program_comes_with(store: Store) -> None:
    assert Settings(store.database).now() == SiteSettings()


def test_what_is_changed_is_kept_and_logged_with_both_values(store: Store) -> None:
    settings = Settings(store.database)
    settings.change("p1", clinic="Clinic Ж", sign_in_to_use=True)
    settings.change("p1", clinic="Clinic Ж", idle_minutes=5)
    assert settings.now() == Settings(store.database).now() == SiteSettings("Clinic Ж", "", True, 5)
    logged = [(one.entry.subject, one.entry.detail) for one in store.log.written()]
    assert logged == [
        ("clinic", {"before": "", "after": "Clinic Ж"}),
        ("sign_in_to_use", {"before": False, "after": True}),
        ("idle_minutes", {"before": 10, "after": 5}),
    ]


@pytest.mark.parametrize(
    "values",
    [{"idle_minutes": 0}, {"idle_minutes": 241}, {"clinic": "x" * 81}, {"sign_in_to_use": "yes"}, {"no": 1}],
)
def test_a_value_that_cannot_be_changes_nothing(store: Store, values: dict[str, object]) -> None:
    settings = Settings(store.database)
    with pytest.raises(InputError):
        settings.change("p1", **{"clinic": "New", **values})
    assert settings.now() == Settings(store.database).now() == SiteSettings()
    assert not list(store.log.written())


def test_what_a_later_version_has_written_is_left_alone(store: Store) -> None:
    with store.database.write() as session:
        session.add(Setting(name="of_tomorrow", value_json="7"))
    settings = Settings(store.database)
    settings.change("p1", clinic="New")
    assert settings.now().clinic == "New"
    with store.database.read() as session:
        assert session.get(Setting, "of_tomorrow") is not None


@pytest.mark.parametrize("name", ["sign_in_to_use", "own_read_first"])
@pytest.mark.parametrize("stored", ['"no"', "tru", "1", "null", "[" * 5000, b"\xff", 5])
def test_what_keeps_answers_from_others_is_on_where_it_cannot_be_read(
    store: Store, name: str, stored: object
) -> None:
    Settings(store.database).change("box", **{name: True})
    with store.database.write() as session:
        session.connection().exec_driver_sql("UPDATE settings SET value_json = ?", (stored,))
    found = Settings(store.database).now()
    assert getattr(found, name) is True and found.asks_for_pin


def test_half_a_letter_is_no_name_of_a_clinic(store: Store) -> None:
    with store.database.write() as session:
        session.merge(Setting(name="clinic", value_json='"\\ud800"'))
    assert Settings(store.database).now() == SiteSettings()
