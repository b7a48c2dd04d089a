"""The options of `ulna serve` that a site's unit is to carry, checked as `ulna serve` would check them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from device_app.config import MediaOptions
from device_app.senders import dicom_options
from device_app.update.unit import Site
from runtime.errors import InputError

_OF_THE_UNIT = ("bundle", "data", "trust")


def site_of(serve: TyperCommand, words: Sequence[str], browsers: Sequence[str] = ()) -> Site:
    """What a unit needs for them. browsers: addresses or networks of the browsers that may reach it.

    Raises Typer's usage errors for what `ulna serve` does not know, InputError for what no unit can carry.
    """
    with serve.make_context("ulna serve", list(words)) as context:
        given = context.params
    for name in _OF_THE_UNIT:
        if given[name]:
            raise InputError(f"--{name} after -- is the unit's own", "leave it out")
    media = tuple(given["media"] or MediaOptions().roots)
    watched = () if given["watch"] is None else (given["watch"],)
    peers = (*_browsers(given["host"], browsers), *_peers(given))
    return Site(tuple(words), tuple(map(_absolute, (*media, *watched))), tuple(dict.fromkeys(peers)))


def _absolute(folder: Path) -> Path:
    if not folder.is_absolute():
        raise InputError(f"{folder} depends on where a program is started", "name it from / on")
    return folder


def _browsers(host: str, networks: Sequence[str]) -> tuple[str, ...]:
    """A kiosk that listens to others and lets nobody in looks like one that hangs."""
    if _is_this_machine(host):
        if networks:
            raise InputError(
                f"--browsers, but the kiosk listens on {host}, which no other machine reaches",
                "add -- --host with the box's own address",
            )
        return ()
    if not networks:
        raise InputError(
            f"a kiosk that listens on {host} would be reached by nobody: the unit lets in who is named",
            "add --browsers with the network of the tablets, before --",
        )
    try:
        return tuple(str(ipaddress.ip_network(one, strict=False)) for one in networks)
    except ValueError as error:
        raise InputError(f"--browsers: {error}", "name addresses or networks, like 192.168.1.0/24") from error


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _peers(given: dict[str, Any]) -> tuple[str, ...]:
    """A unit lets in whose address is named: a title is nothing but what a sender says of itself."""
    options = dicom_options(
        given["dicom_port"], given["dicom_host"], given["ae_title"], given["dicom_from"] or ()
    )
    if options is None:
        return ()
    if not options.peers:
        raise InputError(
            "--dicom-port would let in every machine of the network",
            "add --dicom-from with the address or the network of each sender",
        )
    return tuple(str(ipaddress.ip_network(peer, strict=False)) for peer in options.peers)
