"""Columns that many tables share, and the metadata of all tables."""

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData, Numeric, Uuid, func

metadata = MetaData()


def timestamp(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a timestamp column. Its default is null if it is nullable, else the current time."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=None if nullable else func.now())


def required_timestamp(name: str) -> Column[object]:
    """Return a timestamp column without a default."""
    return Column(name, DateTime(timezone=True), nullable=False)


def usd(name: str) -> Column[object]:
    """Return a column for US dollars with 12 decimals, because a token may cost less than a millionth of a cent."""
    return Column(name, Numeric(18, 12), nullable=False, server_default="0")


def counter(name: str) -> Column[object]:
    """Return an integer column that defaults to zero."""
    return Column(name, Integer, nullable=False, server_default="0")


def owner() -> Column[object]:
    """Return the owner's column, `user_id`: the first column of every tenant table's primary key."""
    return Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
