"""What of the box is told to whom."""

import pytest

from device_app import create_app
from device_app.access.roles import Role
from device_app.intake.sources import SourceKind, Sources, install_sources
from tests.device_app.views.test_access import sign_in

ELSEWHERE = {"REMOTE_ADDR": "192.168.1.20"}
ON_DISK = ("/srv/x-rays", "/media")


@pytest.fixture
def client(config, store):
    """Of a box with all sources."""
    app = create_app(config)
    sources = Sources()
    install_sources(app, sources)
    sources.open(SourceKind.FOLDER, "/srv/x-rays")
    sources.open(SourceKind.STICK, "/media")
    sources.open(SourceKind.DICOM, "ULNA, port 104")
    return app.test_client()


@pytest.mark.parametrize("path", ["/health", "/healthz", "/box"])
def test_over_a_network_nobody_is_told_where_on_the_disk_pictures_are_looked_for(client, path):
    at_the_box, elsewhere = client.get(path).text, client.get(path, environ_base=ELSEWHERE).text
    assert all(place in at_the_box for place in ON_DISK) and "ULNA, port 104" in at_the_box
    assert not any(place in elsewhere for place in ON_DISK) and "ULNA, port 104" in elsewhere
    told = client.get("/health", environ_base=ELSEWHERE).json["sources"]
    assert [one["kind"] for one in told] == ["folder", "stick", "dicom"]


@pytest.mark.parametrize(("role", "is_told"), [(Role.READER, False), (Role.ADMINISTRATOR, True)])
def test_who_looks_after_the_box_is_told(client, people, role, is_told):
    client.application.testing = True
    sign_in(client, people, role)
    told = client.get("/health", environ_base=ELSEWHERE).text
    assert all((place in told) is is_told for place in ON_DISK)
