"""Gives examinations whose row is lost the addresses back that they had, as the log says.

An address is on printed reports, in open pages and in other entries of the log. One that leads to another
patient is worse than a new one: it is given back only where the log is whole since the pictures came, and
where no other examination has or claims it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.orm import Session

from device_app.audit import START, Entry, fits
from device_app.store.log import Action, chain
from device_app.store.models import AuditEntry, Examination, Image
from device_app.store.records import by_address
from device_app.store.sources import RECOVERED


@dataclass(frozen=True)
class Addresses:
    """Where the log says that pictures are. held: by digest, the address under which a picture came or to
    which it was put alone. joined: by an address that ended, the one that it leads to.
    """

    held: Mapping[str, str]
    joined: Mapping[str, str]

    def of(self, sha256: str) -> str:
        """Of the examination that a picture is in now; "" where that cannot be told."""
        return _end(self.held.get(sha256, ""), self.joined)


@dataclass(frozen=True)
class _Lost:
    """An examination of which only rows of pictures are left. addresses: all that the log names for them."""

    number: int
    received_utc: datetime
    addresses: frozenset[str]


def told(session: Session, to_the_end: bool) -> Addresses:
    """As the log says. to_the_end: whether its last entries are known to be there."""
    held: dict[str, str] = {}
    joined: dict[str, str] = {}
    last = START
    for written in chain(session):
        entry, previous, last = written.entry, last, written.sha256
        sound = fits(written)
        if not sound or entry.previous_sha256 != previous or _ends_a_gap(entry):
            held.clear()  # what is missing may have put any picture elsewhere
        if sound:
            _follow(entry, held, joined)
    return Addresses(held if to_the_end else {}, joined)


def give_back(session: Session, said: Addresses) -> None:
    """A row with its old number and address for each examination of which the log tells it."""
    lost = _lost(session, said)
    claims = Counter(address for one in lost for address in one.addresses)
    claims.update(session.scalars(select(Examination.public_id)))
    for one in lost:
        address = next(iter(one.addresses), "")
        if len(one.addresses) == 1 and claims[address] == 1:
            session.add(_row(address, one.received_utc, id=one.number))
    session.flush()


def rejoin(session: Session, said: Addresses) -> None:
    """Addresses that led to another examination lead there again, where neither has pictures of its own."""
    known = set(session.scalars(select(Examination.public_id)))
    alone = Examination.joined_into_id.is_(None) & ~Examination.images.any()
    empty = {one.public_id: one for one in session.scalars(select(Examination).where(alone))}
    for address in said.joined.keys() - (known - empty.keys()):
        holder = by_address(session, _end(address, said.joined))
        if holder is not None and holder.public_id not in empty:
            row = empty.get(address) or _row(address, holder.received_utc)
            row.joined_into_id = holder.id
            session.add(row)
    session.flush()


def _lost(session: Session, said: Addresses) -> list[_Lost]:
    wanted = select(Image.examination_id, Image.received_utc, Image.sha256)
    orphans = wanted.where(Image.examination_id.not_in(select(Examination.id))).order_by(Image.examination_id)
    found = []
    for number, rows in groupby(session.execute(orphans).all(), key=lambda row: int(row.examination_id)):
        images = list(rows)
        addresses = frozenset(said.of(row.sha256) for row in images) - {""}
        found.append(_Lost(number, min(row.received_utc for row in images), addresses))
    return found


def _row(address: str, received_utc: datetime, **more: int) -> Examination:
    return Examination(
        public_id=address, received_utc=received_utc, source=RECOVERED, patient_label="", **more
    )


def _follow(entry: Entry, held: dict[str, str], joined: dict[str, str]) -> None:
    """One entry more."""
    digest = str(entry.detail.get("image_sha256", ""))
    if entry.action == Action.RECEIVED:
        held[digest] = entry.subject
    elif entry.action == Action.JOINED:
        into = str(entry.detail.get("into", ""))
        joined.pop(into, None)  # it holds views now: there is no circle
        joined |= {entry.subject: into} if entry.subject != into else {}
    elif entry.action == Action.PARTED and digest:
        held[digest] = str(entry.detail.get("now", ""))
    elif entry.action == Action.PARTED:  # of a version that did not say which of them
        for one in [one for one, address in held.items() if _end(address, joined) == entry.subject]:
            del held[one]


def _ends_a_gap(entry: Entry) -> bool:
    """Whether entries before it were lost: what follows was chained to what was left."""
    if entry.action != Action.MENDED:
        return False
    damaged = entry.detail.get("tables_damaged", ())
    return AuditEntry.__tablename__ in damaged or bool(entry.detail.get("lost_end"))


def _end(address: str, joined: Mapping[str, str]) -> str:
    while address in joined:
        address = joined[address]
    return address
