"""What people may do. Each role may do all that those before it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """anyone: nobody need have signed in. user: sends pictures, sees answers. reader: judges pictures too.
    administrator: changes settings and people, sees the log.
    """

    ANYONE = "anyone"
    USER = "user"
    READER = "reader"
    ADMINISTRATOR = "administrator"

    def may(self, needed: Role) -> bool:
        """Whether who has this role may do what needs that one."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)
PEOPLE_ROLES = (Role.USER, Role.READER, Role.ADMINISTRATOR)
"""Those that a person can have."""
