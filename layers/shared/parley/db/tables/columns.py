"""Columns that many tables have, and the one collection of all tables."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData, Numeric, Uuid, func

metadata = MetaData()


def timestamp(name: str, *, nullable: bool = False) -> Column[object]:
    """A time; one that must be there is now where it is not given."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=None if nullable else func.now())


def required_timestamp(name: str) -> Column[object]:
    """A time that has to be given."""
    return Column(name, DateTime(timezone=True), nullable=False)


def usd(name: str) -> Column[object]:
    """US dollars. A token may cost less than a millionth of a cent; nothing is rounded away."""
    return Column(name, Numeric(18, 12), nullable=False, server_default="0")


def counter(name: str) -> Column[object]:
    """A number that starts at zero."""
    return Column(name, Integer, nullable=False, server_default="0")


def owner() -> Column[object]:
    """Whose row it is: the first column of every tenant table's primary key."""
    return Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
